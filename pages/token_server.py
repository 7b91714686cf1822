"""A server for whoever has the printed address.

It listens on 127.0.0.1, and every request must carry the address's random token and name this
machine as its host (a name that an attacker makes point here is refused).
"""

from __future__ import annotations

import hmac
import secrets
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import cast

from sipo.common.local_server import LOCAL_HOSTS, LocalHandler, LocalServer

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class TokenServer(LocalServer):
    """Port 0 takes a free one; raises ValueError for a taken one."""

    def __init__(self, handler: type[BaseHTTPRequestHandler], port: int = 0) -> None:
        super().__init__(handler, port)
        self.token = secrets.token_urlsafe(24)

    @property
    def url(self) -> str:
        return f"http://{LOCAL_HOSTS[0]}:{self.server_address[1]}/{self.token}/"


class TokenHandler(LocalHandler):
    def place(self) -> list[str] | None:
        """The parts of the path after the token; None for a strange host or a wrong token."""
        host = self.headers.get("Host", "").partition(":")[0]
        token, *place = self.path.removeprefix("/").split("/")
        right = hmac.compare_digest(token.encode(), cast(TokenServer, self.server).token.encode())
        return place if right and host in LOCAL_HOSTS else None

    def refuse(self, status: HTTPStatus) -> None:
        self.send(status.phrase.encode(), "text/plain; charset=utf-8", status)
