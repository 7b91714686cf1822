"""A person as judge: a page on this machine that shows images and takes answers.

Only whoever has the printed address gets in: the server listens on 127.0.0.1, and every request
must carry the address's random token and name this machine as its host (a name that an attacker
makes point here is refused). It serves the page and the images of the tasks, no files by path.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Protocol, cast

from sipo.common.errors import explain
from sipo.common.files.strict_json import parse_json
from sipo.common.local_server import LOCAL_HOSTS, LocalHandler, LocalServer

_PAGE = Path(__file__).with_name("server.html")
_MOST_BYTES = 1 << 16  # of an answer
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Session(Protocol):
    """What is shown and asked. Tasks and their items are known to the page by number alone."""

    def describe(self) -> Mapping[str, object]:
        """`mode` ("order" or "decide"), `title`, `done` (what is said at the end), and `tasks`,

        each with `prompt`, `items` (`label`, `note`, `video`: whether it is a clip) and `answer`,
        None where there is none yet.
        """
        ...

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        """The image or clip and its media type. Raises IndexError for what there is not."""
        ...

    def answer(self, task: int, value: object) -> None:
        """Keep it for good. Raises IndexError for no such task, ValueError for no answer to it."""
        ...


class Server(LocalServer):
    """Serves one session at `url`. Port 0 takes a free one; raises ValueError for a taken one."""

    def __init__(self, session: Session, port: int = 0) -> None:
        super().__init__(_Handler, port)
        self.session = session
        self.token = secrets.token_urlsafe(24)
        self.writing = Lock()

    @property
    def url(self) -> str:
        return f"http://{LOCAL_HOSTS[0]}:{self.server_address[1]}/{self.token}/"


def serve(session: Session, port: int, say: Callable[[str], object]) -> None:
    """Until Ctrl-C."""
    with Server(session, port) as server:
        say(f"Open {server.url}")
        say("Every answer is saved as it is given; stop with Ctrl-C, go on with the same command.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")


class _Handler(LocalHandler):
    headers_of_all = MappingProxyType({**_HEADERS, "Content-Security-Policy": "default-src 'none'"})

    def get(self) -> None:
        match self._place():
            case None:
                self._refuse(HTTPStatus.FORBIDDEN)
            case [""]:
                nonce = secrets.token_urlsafe(16)
                page = _PAGE.read_text(encoding="utf-8").replace("NONCE", nonce)
                policy = {"Content-Security-Policy": _POLICY.format(nonce)}
                self.send(page.encode(), "text/html; charset=utf-8", more=policy)
            case ["tasks"]:
                self.send_json(self._session.describe())
            case ["item", task, item] if task.isdecimal() and item.isdecimal():
                self._send_item(task, item)
            case _:
                self._refuse(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        place = self._place()
        if place is None or not self._from_our_page():
            self._refuse(HTTPStatus.FORBIDDEN)
            return
        try:
            size = int(self.headers.get("Content-Length", ""))
            if place != ["answer"] or not 0 < size <= _MOST_BYTES:
                raise IndexError
            body = parse_json(self.rfile.read(size).decode(), "answer")
            with self._server.writing:
                self._session.answer(_count(body["task"]), body["answer"])
        except (IndexError, KeyError, TypeError):
            self._refuse(HTTPStatus.NOT_FOUND)
        except (ValueError, OSError) as error:
            self.send_json({"error": explain(error) or str(error)}, HTTPStatus.BAD_REQUEST)
        else:
            self.send_json({"saved": True})

    @property
    def _server(self) -> Server:
        return cast(Server, self.server)

    @property
    def _session(self) -> Session:
        return self._server.session

    def _place(self) -> list[str] | None:
        """The parts of the path after the token; None for a strange host or a wrong token."""
        host = self.headers.get("Host", "").partition(":")[0]
        token, *place = self.path.removeprefix("/").split("/")
        right = hmac.compare_digest(token.encode(), self._server.token.encode())
        return place if right and host in LOCAL_HOSTS else None

    def _from_our_page(self) -> bool:
        """Other pages cannot send JSON here without asking first, which nothing here answers."""
        origin = self.headers.get("Origin")
        same = origin is None or origin == f"http://{self.headers['Host']}"
        return same and self.headers.get_content_type() == "application/json"

    def _send_item(self, task: str, item: str) -> None:
        try:
            content, kind = self._session.content(int(task), int(item))
        except (IndexError, OSError, ValueError):
            self._refuse(HTTPStatus.NOT_FOUND)
        else:
            self.send(content, kind)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send(status.phrase.encode(), "text/plain; charset=utf-8", status)


def _count(value: object) -> int:
    """A JSON number that counts something; a negative one would index from the end."""
    if type(value) is not int or value < 0:
        raise IndexError(value)
    return value
