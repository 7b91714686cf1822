"""A page of something that runs, served on this machine and loaded anew when there is news.

As with server.py only whoever has the printed address gets in: 127.0.0.1, a random token in the
path, this machine's name as the host.
"""

from __future__ import annotations

import hmac
import secrets
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple, Protocol, cast

from sipo.common.local_server import LOCAL_HOSTS, LocalHandler, LocalServer

_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src "
    "'unsafe-inline'; img-src data:; media-src data: blob:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
}


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


class LiveServer(LocalServer):
    """Raises ValueError for a port that is taken; 0 takes a free one."""

    def __init__(self, page: LivePage, port: int = 0) -> None:
        super().__init__(_Handler, port)
        self.page = page
        self.token = secrets.token_urlsafe(24)
        self.building = threading.Lock()
        self.built: tuple[str, bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{LOCAL_HOSTS[0]}:{self.server_address[1]}/{self.token}/"

    def handle_error(self, request: object, client_address: object) -> None:
        """Who has gone before the page was built is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def content(self) -> bytes:
        """The page, built once a version."""
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


class _Handler(LocalHandler):
    headers_of_all = MappingProxyType(_HEADERS)

    def get(self) -> None:
        server = cast(LiveServer, self.server)
        host = self.headers.get("Host", "").partition(":")[0]
        token, _, place = self.path.removeprefix("/").partition("/")
        if host not in LOCAL_HOSTS or not hmac.compare_digest(
            token.encode(), server.token.encode()
        ):
            self._refuse(HTTPStatus.FORBIDDEN)
        elif place == "state":
            self.send_json(server.page.state()._asdict())
        elif not place:
            self.send(server.content(), "text/html; charset=utf-8")
        else:
            self._refuse(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        self._refuse(HTTPStatus.METHOD_NOT_ALLOWED)

    def _refuse(self, status: HTTPStatus) -> None:
        self.send(status.phrase.encode(), "text/plain; charset=utf-8", status)
