"""A person as judge: a page on this machine that shows images and takes answers.

Only whoever has the printed address gets in (token_server.py). It serves the page and the images
of the tasks, no files by path.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from threading import Lock
from types import MappingProxyType
from typing import Protocol, cast

from sipo.common.errors import explain
from sipo.common.files.strict_json import parse_json
from sipo.pages.html import render
from sipo.pages.token_server import HEADERS, TokenHandler, TokenServer

_PAGE = Path(__file__).with_name("server.html")
_MOST_BYTES = 1 << 16  # of an answer
_MOST_LETTERS = 1000  # of a note
_POLICY = (
    "default-src 'none'; script-src 'nonce-{0}'; style-src 'nonce-{0}'; img-src 'self' data:; "
    "media-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Session(Protocol):
    """What is shown and asked. Tasks and their items are known to the page by number alone."""

    def describe(self) -> Mapping[str, object]:
        """`mode` ("order" or "decide"), `title`, `done` (what is said at the end), and `tasks`,

        each with `prompt`, `items`, `answer` (None where there is none yet) and `note`; perhaps
        with `marks` in the prompt, and `tag` and `kinds` to filter by. An item has `label`, `note`,
        `video` (whether it is a clip), and perhaps `boxes`: [x1, y1, x2, y2 in pixels, label,
        "good", "bad" or ""].
        """
        ...

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        """The image or clip and its media type. Raises IndexError for what there is not."""
        ...

    def answer(self, task: int, value: object, note: str = "") -> None:
        """Keep it for good; None takes the answer back that there was.

        Raises IndexError for no such task, ValueError for no answer to it.
        """
        ...


class Server(TokenServer):
    """Serves one session at `url`."""

    def __init__(self, session: Session, port: int = 0) -> None:
        super().__init__(_Handler, port)
        self.session = session
        self.writing = Lock()


def serve(session: Session, port: int, say: Callable[[str], object]) -> None:
    """Until Ctrl-C."""
    with Server(session, port) as server:
        say(f"Open {server.url}")
        say("Every answer is saved as it is given; stop with Ctrl-C, go on with the same command.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("")


class _Handler(TokenHandler):
    headers_of_all = MappingProxyType({**HEADERS, "Content-Security-Policy": "default-src 'none'"})

    def get(self) -> None:
        match self.place():
            case None:
                self.refuse(HTTPStatus.FORBIDDEN)
            case [""]:
                nonce = secrets.token_urlsafe(16)
                page = render(_PAGE, title="sipo", nonce=nonce)
                policy = {"Content-Security-Policy": _POLICY.format(nonce)}
                self.send(page.encode(), "text/html; charset=utf-8", more=policy)
            case ["tasks"]:
                self.send_json(self._session.describe())
            case ["item", task, item] if task.isdecimal() and item.isdecimal():
                self._send_item(task, item)
            case _:
                self.refuse(HTTPStatus.NOT_FOUND)

    def post(self) -> None:
        place = self.place()
        if place is None or not self._from_our_page():
            self.refuse(HTTPStatus.FORBIDDEN)
            return
        try:
            size = int(self.headers.get("Content-Length", ""))
            if place != ["answer"] or not 0 < size <= _MOST_BYTES:
                raise IndexError
            body = parse_json(self.rfile.read(size).decode(), "answer")
            with self._server.writing:
                note = _note(body.get("note", ""))
                self._session.answer(_count(body["task"]), body["answer"], note)
        except (IndexError, KeyError, TypeError, AttributeError):
            self.refuse(HTTPStatus.NOT_FOUND)
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

    def _from_our_page(self) -> bool:
        """Other pages cannot send JSON here without asking first, which nothing here answers."""
        origin = self.headers.get("Origin")
        same = origin is None or origin == f"http://{self.headers['Host']}"
        return same and self.headers.get_content_type() == "application/json"

    def _send_item(self, task: str, item: str) -> None:
        try:
            content, kind = self._session.content(int(task), int(item))
        except (IndexError, OSError, ValueError):
            self.refuse(HTTPStatus.NOT_FOUND)
        else:
            self.send(content, kind)


def _count(value: object) -> int:
    """A JSON number that counts something; a negative one would index from the end."""
    if type(value) is not int or value < 0:
        raise IndexError(value)
    return value


def _note(value: object) -> str:
    """Raises ValueError for what is no short text."""
    if not isinstance(value, str) or len(value) > _MOST_LETTERS:
        raise ValueError(f"a note is a text of {_MOST_LETTERS} letters at most")
    return value.strip()
