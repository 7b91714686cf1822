"""A page that is served while something runs: who gets in, and that it is built once a version."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from sipo.pages.live_server import LiveServer, State, served


class Counted:
    def __init__(self) -> None:
        self.version, self.built = "1", 0

    def html(self) -> str:
        self.built += 1
        return f"page {self.version}"

    def state(self) -> State:
        return State(self.version, "at work")


PAGE = Counted()


@pytest.fixture
def server() -> Iterator[LiveServer]:
    with served(PAGE) as server:
        yield server


def get(server: LiveServer, path: str, **headers: str) -> tuple[int, str]:
    connection = HTTPConnection(*server.server_address[:2], timeout=5)
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    found = reply.status, reply.read().decode()
    connection.close()
    return found


def test_it_is_built_once_a_version_and_said_at_once(server: LiveServer) -> None:
    token = f"/{server.token}/"
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}{token}"
    assert [get(server, token) for _ in range(2)] == [(200, "page 1")] * 2
    assert PAGE.built == 1
    PAGE.version = "2"
    assert json.loads(get(server, f"{token}state")[1]) == {"version": "2", "now": "at work"}
    assert get(server, token) == (200, "page 2")
    assert PAGE.built == 2


def test_only_who_has_the_address_gets_in(server: LiveServer) -> None:
    assert get(server, "/")[0] == get(server, "/wrong/")[0] == 403
    assert get(server, f"/{server.token}/", Host="evil.example")[0] == 403
    assert get(server, f"/{server.token}/loop.json")[0] == 404
