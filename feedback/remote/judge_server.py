"""A judge of ours over HTTP, for other programs and for `--judge http=URL`.

GET /health says what it is, POST /compute and /score judge (judge_service.py has the JSON), POST
/describe gives the judge's description. What goes wrong is JSON with an `error`.
"""

from __future__ import annotations

import hmac
import json
import socket
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from threading import BoundedSemaphore
from typing import cast

from sipo.common.errors import explain
from sipo.common.files.strict_json import parse_json
from sipo.common.local_server import LOCAL_HOSTS, LocalHandler, LocalServer
from sipo.feedback.judge_urls import COMPUTE, SCORE
from sipo.feedback.prompts.grammar import single_object
from sipo.feedback.registry import MOST_BOXES, split_names
from sipo.feedback.remote.judge_service import JudgeService
from sipo.feedback.remote.score_replies import DESCRIBE, HEALTH, OURS, REWARD

MOST_BYTES = 1 << 26  # of a request
AT_ONCE = 8  # requests that are held in memory; another is told to come again
SILENT_S = 60.0  # a connection may be
_PIECE = 1 << 16


class JudgeServer(LocalServer):
    """With a `key`, who asks must send it as a bearer token."""

    def __init__(
        self, service: JudgeService, port: int, host: str = LOCAL_HOSTS[0], key: str | None = None
    ) -> None:
        super().__init__(_Handler, port, host)
        self.service, self.key = service, key
        self.room = BoundedSemaphore(AT_ONCE)

    @property
    def url(self) -> str:
        host, port = str(self.server_address[0]), self.server_address[1]
        return f"http://{socket.gethostname() if host == '0.0.0.0' else host}:{port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """Who asked has gone: nothing is wrong here."""
        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            traceback.print_exc()


def serve_judge(
    name: str,
    service: JudgeService,
    port: int,
    host: str,
    key: str | None,
    say: Callable[[str], object],
) -> None:
    """Until Ctrl-C."""
    with JudgeServer(service, port, host, key) as server:
        say("\n".join(_greeting(name, server)))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say(f"\nstopped; {service.images} images judged in {service.requests} requests")


def _greeting(name: str, server: JudgeServer) -> list[str]:
    detects = any(one in MOST_BOXES for one, _ in split_names(name))
    dog = single_object("dog")
    prompt = json.dumps(dog.to_row() if detects else dog.text)
    token = ' -H "Authorization: Bearer $KEY"' if server.key else ""
    curl = f"curl -s {server.url}{COMPUTE} -H 'Content-Type: application/json'{token} -d @-"
    lines = [
        f"Judge {name} answers at {server.url}; Ctrl-C ends it. For example, an image.png:",
        f"""  (printf '{{"prompts": [{prompt}], "images": ["'; base64 < image.png | tr -d '\\n'; """
        f"""printf '"]}}') | {curl}""",
        f"Next: sipo-data generate --judge http={server.url} --prompts prompts.jsonl --out shards",
    ]
    if server.server_address[0] not in LOCAL_HOSTS and server.key is None:
        lines.insert(1, "Whoever reaches this address may ask it; --key-env NAME asks for a key.")
    return lines


class _Handler(LocalHandler):
    protocol_version = "HTTP/1.1"  # connections are kept
    timeout = SILENT_S
    disable_nagle_algorithm = True

    @property
    def _server(self) -> JudgeServer:
        return cast(JudgeServer, self.server)

    def get(self) -> None:
        if self.path not in ("/", HEALTH):
            self._refuse(HTTPStatus.NOT_FOUND, f"there is GET {HEALTH} and POST {COMPUTE}")
            return
        judge = self._server.service.described
        rewards = {REWARD: ["score"]}
        self.send_json({"status": "ok", "serves": OURS, "judge": judge, "rewards": rewards})

    def post(self) -> None:
        service = self._server.service
        answers = {COMPUTE: service.compute, SCORE: service.score, DESCRIBE: service.describe}
        answer = answers.get(self.path)
        if answer is None:
            self._refuse(HTTPStatus.NOT_FOUND, f"there is POST {COMPUTE} and GET {HEALTH}")
        elif not self._has_key():
            self._refuse(HTTPStatus.UNAUTHORIZED, "a bearer token is missing, or another one")
        elif (size := self._size()) is not None:
            if not self._server.room.acquire(blocking=False):
                busy = f"{AT_ONCE} requests are being answered; come again"
                self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, busy, {"Retry-After": "1"})
                return
            try:
                self._answer(answer, self.rfile.read(size))
            finally:
                self._server.room.release()

    def _answer(self, answer: Callable[[object], dict[str, object]], data: bytes) -> None:
        try:
            reply = answer(parse_json(data.decode(), "request"))
        except ValueError as error:
            self.send_json({"error": explain(error)}, HTTPStatus.UNPROCESSABLE_ENTITY)
        except Exception as error:  # a device that fails, a mistake of ours: said in both places
            traceback.print_exc()
            said = {"error": f"the judge failed ({type(error).__name__})"}
            self.send_json(said, HTTPStatus.INTERNAL_SERVER_ERROR)
        else:
            self.send_json(reply)

    def _has_key(self) -> bool:
        if (key := self._server.key) is None:
            return True
        said = self.headers.get("Authorization", "").removeprefix("Bearer ")
        return hmac.compare_digest(said.encode(), key.encode())

    def _size(self) -> int | None:
        """Of the body; None where it was refused. Other pages of a browser cannot send JSON here
        without asking first, which nothing here answers."""
        if self.headers.get_content_type() != "application/json":
            kind = "send Content-Type: application/json"
            self._refuse(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, kind)
            return None
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdecimal()) or len(length) > 12:
            self._refuse(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length")
            return None
        if int(length) > MOST_BYTES:
            most = f"a request may have {MOST_BYTES >> 20} MiB; send fewer images at once"
            self._refuse(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, most)
            return None
        return int(length)

    def _refuse(self, status: HTTPStatus, why: str, more: dict[str, str] | None = None) -> None:
        """The body is thrown away, that who sends it reads the answer, and the connection ends."""
        self.close_connection = True
        length = self.headers.get("Content-Length", "")
        left = int(length) if length.isascii() and length.isdecimal() and len(length) < 12 else 0
        left = min(left, 4 * MOST_BYTES)
        while left > 0 and (piece := self.rfile.read(min(left, _PIECE))):
            left -= len(piece)
        self.send_json({"error": why}, status, {**(more or {}), "Connection": "close"})
