"""The page's server over real HTTP, and the answers on disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from sipo.pages.ratings import TAKEN_BACK, append_answer, read_answers
from sipo.pages.server import Server


class Asked:
    """Two tasks of one item; answers are kept in memory."""

    def __init__(self) -> None:
        self.said: dict[int, Any] = {}

    def describe(self) -> dict[str, Any]:
        return {"mode": "decide", "tasks": [{"answer": self.said.get(n)} for n in range(2)]}

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        return [[b"first"], [b"second"]][task][item], "image/png"

    def answer(self, task: int, value: Any, note: str = "") -> None:
        if value != "keep":
            raise ValueError(f"answer {value!r} is no decision")
        [0, 1][task]
        self.said[task] = value


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(Asked()) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def ask(
    server: Server, path: str, body: Any = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """(status, headers, body); `path` follows the token unless it starts with a slash."""
    connection = HTTPConnection(*server.server_address[:2], timeout=5)
    whole = path if path.startswith("/") else f"/{server.token}/{path}"
    data = json.dumps(body) if body is not None else None
    given = {"Content-Type": "application/json"} if data else {}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request("POST" if data else "GET", whole, data, given)
    reply = connection.getresponse()
    found = reply.status, dict(reply.headers), reply.read()
    connection.close()
    return found


def test_the_page_runs_its_own_script_alone(server: Server) -> None:
    status, headers, page = ask(server, "")
    assert status == 200
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert page.count(f'nonce="{nonce}"'.encode()) == page.count(b"<script") + page.count(b"<style")
    assert b" style=" not in page  # which the policy forbids
    assert b"http" not in page.replace(b"http-equiv", b"")
    assert headers["Referrer-Policy"] == "no-referrer"
    assert ask(server, "")[1]["Content-Security-Policy"] != policy


def test_only_the_address_that_was_printed_gets_in(server: Server) -> None:
    port = server.server_address[1]
    assert server.url == f"http://127.0.0.1:{port}/{server.token}/"
    assert len(server.token) == 32
    assert ask(server, "tasks")[0] == 200
    assert ask(server, "tasks", Host=f"localhost:{port}")[0] == 200
    for path in ("/", "/tasks", f"/{server.token[:-1]}/tasks", f"/{server.token}x/", "/%C3%A9/"):
        assert ask(server, path)[0] == 403, path
    for host in ("evil.example", f"evil.example:{port}", f"127.0.0.1.evil.example:{port}", ""):
        assert ask(server, "tasks", Host=host)[0] == 403, host


def test_only_items_are_served(server: Server) -> None:
    assert ask(server, "item/1/0")[2] == b"second"
    strange = ["item/2/0", "item/0/1", "item/-1/0", "item/0/../../web.py", "item/%2e%2e/0"]
    strange += ["web.py", "../web.py", "item/0/0/0", "item/²/0", f"item/{'9' * 5000}/0"]
    for path in strange:
        status, _, body = ask(server, path.replace("²", "%C2%B2"))
        assert (status, body) == (404, b"Not Found"), path


def test_an_answer_must_come_from_the_page(server: Server) -> None:
    port = server.server_address[1]
    answer = {"task": 1, "answer": "keep"}
    assert ask(server, "answer", answer, Origin="http://evil.example")[0] == 403
    assert ask(server, "answer", answer, Content_Type="text/plain")[0] == 403
    assert ask(server, "/x/answer", answer)[0] == 403
    assert json.loads(ask(server, "tasks")[2])["tasks"][1]["answer"] is None
    assert ask(server, "answer", answer, Origin=f"http://127.0.0.1:{port}")[0] == 200
    assert json.loads(ask(server, "tasks")[2])["tasks"][1]["answer"] == "keep"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"task": 0, "answer": "burn"}, 400),
        ({"task": 2, "answer": "keep"}, 404),
        ({"task": -1, "answer": "keep"}, 404),
        ({"task": True, "answer": "keep"}, 404),
        ({"answer": "keep"}, 404),
        ({"task": 0, "answer": "keep", "note": "x" * 1001}, 400),
        ({"task": 0, "answer": "keep", "note": None}, 400),
        ([1], 404),
        ({"task": 0, "answer": "x" * (1 << 16)}, 404),
    ],
)
def test_what_is_no_answer_is_refused(server: Server, body: Any, status: int) -> None:
    assert ask(server, "answer", body)[0] == status


def test_a_refusal_says_why(server: Server) -> None:
    said = json.loads(ask(server, "answer", {"task": 0, "answer": "burn"})[2])
    assert said == {"error": "answer 'burn' is no decision"}


def test_a_port_that_is_taken(server: Server) -> None:
    with pytest.raises(ValueError, match=r"--port \d+ cannot be used .*; give another"):
        Server(Asked(), server.server_address[1])
    with pytest.raises(ValueError, match="--port 70000 cannot be used"):
        Server(Asked(), 70_000)


def test_the_last_answer_counts_and_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "answers.jsonl"
    assert read_answers(path, "q") == {}
    for question, value in (("a", 1), ("b", 2), ("a", 3)):
        append_answer(path, {"q": question, "value": value})
    assert [(q, row["value"]) for q, row in read_answers(path, "q").items()] == [("b", 2), ("a", 3)]
    assert len(path.read_text().splitlines()) == 3
    append_answer(path, {"q": "a", TAKEN_BACK: True})
    assert list(read_answers(path, "q")) == ["b"]
    append_answer(path, {"q": "a", "value": 3})
    assert read_answers(path, "q")["a"]["time"].endswith("+00:00")


def test_a_line_that_a_crash_cut_off_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    append_answer(path, {"q": "a"})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"q": "b", "va')
    assert list(read_answers(path, "q")) == ["a"]
    append_answer(path, {"q": "c"})
    assert list(read_answers(path, "q")) == ["a", "c"]
    path.write_bytes(b"junk\n" + whole)
    with pytest.raises(ValueError, match=r"line 1: no answer with a 'q'"):
        read_answers(path, "q")


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_answers_that_a_person_has_edited(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"q": "a"}\r\n\r\n{"q": "b"}' + end)
    assert list(read_answers(path, "q")) == ["a", "b"]
    append_answer(path, {"q": "c"})
    append_answer(path, {"q": "d"})
    assert list(read_answers(path, "q")) == ["a", "b", "c", "d"]
    path.write_bytes(b'\xef\xbb\xbf{"q": "a"}' + end)
    append_answer(path, {"q": "b"})
    assert list(read_answers(path, "q")) == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b'{"q": "caf\xe9"}\n', "is not UTF-8"),
        (b'{"q": "a", "q": "b"}\n', "line 1: no answer with a 'q'"),
        (b"[" * 10_000 + b"\n", "line 1: no answer"),
        (b"[1]\n", "line 1: no answer"),
        (b"\0\0\n", "line 1: no answer"),
    ],
)
def test_what_is_no_answer(tmp_path: Path, data: bytes, says: str) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=says):
        read_answers(path, "q")


def test_nothing_is_added_to_utf_16(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"q": "a"}\n', encoding="utf-16")
    assert list(read_answers(path, "q")) == ["a"]
    with pytest.raises(ValueError, match="is UTF-16, which no line can be added to; save it as"):
        append_answer(path, {"q": "b"})
    assert list(read_answers(path, "q")) == ["a"]
