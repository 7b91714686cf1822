"""A page of something that runs, served on this machine and loaded anew when there is news.

As with server.py only whoever has the printed address gets in.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple, Protocol, cast

from sipo.pages.token_server import HEADERS, TokenHandler, TokenServer

_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; "
    "media-src data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class State(NamedTuple):
    """`version` changes with the page's content; `now` is said at once."""

    version: str
    now: str


class LivePage(Protocol):
    """What is served."""

    def html(self) -> str:
        """Built of base.html, with the macros of live.html."""
        ...

    def state(self) -> State: ...


class LiveServer(TokenServer):
    """Builds the page when it is asked for, and once a version."""

    def __init__(self, page: LivePage, port: int = 0) -> None:
        super().__init__(_Handler, port)
        self.page = page
        self.building = threading.Lock()
        self.built: tuple[str, bytes] | None = None

    def handle_error(self, request: object, client_address: object) -> None:
        """Who has gone before the page was built is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def content(self) -> bytes:
        """The page as it is now."""
        with self.building:
            version = self.page.state().version
            if self.built is None or self.built[0] != version:
                self.built = version, self.page.html().encode()
            return self.built[1]


@contextmanager
def served(page: LivePage, port: int = 0) -> Iterator[LiveServer]:
    """Inside, it is served beside what else is done."""
    with LiveServer(page, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class _Handler(TokenHandler):
    headers_of_all = MappingProxyType({**HEADERS, "Content-Security-Policy": _POLICY})

    def get(self) -> None:
        server = cast(LiveServer, self.server)
        match self.place():
            case None:
                self.refuse(HTTPStatus.FORBIDDEN)
            case ["state"]:
                self.send_json(server.page.state()._asdict())
            case [""]:
                self.send(server.content(), "text/html; charset=utf-8")
            case _:
                self.refuse(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        self.refuse(HTTPStatus.METHOD_NOT_ALLOWED)
