"""A small HTTP server of the standard library: what the pages and the served judges share."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType

LOCAL_HOSTS = ("127.0.0.1", "localhost")


class LocalServer(ThreadingHTTPServer):
    """A thread a connection, which ends with the process. Port 0 takes a free one.

    Raises ValueError for a port or an address that cannot be had.
    """

    daemon_threads = True

    def __init__(
        self, handler: type[BaseHTTPRequestHandler], port: int, host: str = LOCAL_HOSTS[0]
    ) -> None:
        where = f"--port {port}" if host in LOCAL_HOSTS else f"--host {host} with --port {port}"
        try:
            super().__init__((host, port), handler)
        except (OSError, OverflowError) as error:
            raise ValueError(f"{where} cannot be used ({error}); give another") from None


class LocalHandler(BaseHTTPRequestHandler):
    """Says nothing of itself, and writes no log: an address may hold what is secret.

    `get` and `post` answer.
    """

    server_version = "sipo"
    sys_version = ""
    headers_of_all: Mapping[str, str] = MappingProxyType({})

    def get(self) -> None:
        raise NotImplementedError

    def post(self) -> None:
        raise NotImplementedError

    def do_GET(self) -> None:
        self.get()

    def do_POST(self) -> None:
        self.post()

    def send(
        self,
        body: bytes,
        kind: str,
        status: HTTPStatus = HTTPStatus.OK,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        headers = {"Content-Type": kind, "Content-Length": str(len(body)), **self.headers_of_all}
        for name, value in {**headers, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_json(
        self,
        value: object,
        status: HTTPStatus = HTTPStatus.OK,
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.send(json.dumps(value).encode(), "application/json", status, more)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""
