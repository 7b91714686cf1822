"""A server in the test's own process that answers, refuses, delays and breaks as it is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, NamedTuple


class Said(NamedTuple):
    """`raw` stands in for `value` as JSON; status 0 closes the connection without a word."""

    value: Any = None
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    raw: bytes | None = None


class Call(NamedTuple):
    number: int  # of the calls with a body, from 0
    path: str
    body: Any
    headers: dict[str, str]


Script = Callable[[Call], Said]


class ScriptedServer(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, script: Script, there: dict[str, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script, self.there = script, there
        self.calls: list[Call] = []
        self.lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: Any) -> None:
        """Who asked has given up."""


@contextmanager
def scripted(script: Script, **there: Any) -> Iterator[ScriptedServer]:
    """`there`: what GET /{name} says, "." written "_"; any other name is 404."""
    with ScriptedServer(script, there) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ScriptedServer

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        there = self.server.there
        self._send(Said(there[name]) if name in there else Said({"error": "no such"}, 404))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            call = Call(len(self.server.calls), self.path, body, dict(self.headers))
            self.server.calls.append(call)
        self._send(self.server.script(call))

    def _send(self, said: Said) -> None:
        if said.status == 0:
            self.close_connection = True
            return
        data = json.dumps(said.value).encode() if said.raw is None else said.raw
        self.send_response(said.status)
        self.send_header("Content-Length", str(len(data)))
        for name, value in said.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def chat(first: dict[str, float] | None = None, text: str = "Yes") -> Said:
    """A completion whose first token was chosen from `first` (token -> log-probability)."""
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if first is not None:
        top = [{"token": token, "logprob": value} for token, value in first.items()]
        choice["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
    return Said({"choices": [choice]})


def asked(call: Call) -> str:
    """The question of a call."""
    return str(call.body["messages"][0]["content"][1]["text"])
