"""One way to open text that people wrote.

Text is UTF-8, with or without a byte order mark, or UTF-16 with one (what Excel and PowerShell
save). A line ends at "\\n", "\\r\\n" or "\\r", and nowhere else: `str.splitlines` also splits at
U+2028, U+0085 and form feeds, which stand inside prompts and JSON strings.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sipo.common.files.strict_json import parse_json
from sipo.common.files.urls import place_of

STDIN = Path("-")
"""As a path: what is piped into the command."""

_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le"}
_MARKS |= {codecs.BOM_UTF16_BE: "utf-16-be"}
_LINE_ENDS = re.compile(r"\r\n|\n|\r")


def read_text(path: str | Path, what: str = "file", errors: str = "strict") -> str:
    """The text of a file, of a pipe, or of standard input ("-").

    `what` names it in the ValueError for bytes that are no text ("prompt file", "list"). A path
    that cannot be opened is an OSError with its name. `errors` as `bytes.decode` has them.
    """
    path = place_of(path)
    data = sys.stdin.buffer.read() if path == STDIN else path.read_bytes()
    return decode_text(data, f"{what} {str(path)!r}", errors)


def decode_text(data: bytes, where: str, errors: str = "strict") -> str:
    """Raises ValueError that says `where` and at which byte the text is none."""
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    encoding = _MARKS.get(mark, "utf-8")
    try:
        return data[len(mark) :].decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{where} is not {encoding.upper()}: {error.reason} at byte {error.start + len(mark)}; "
            "save it as UTF-8"
        ) from None


def split_lines(text: str) -> list[str]:
    """The lines without their ends; what follows the last end is a line only if it has text."""
    *lines, last = _LINE_ENDS.split(text)
    return [*lines, last] if last else lines


def numbered_lines(text: str, file: str | Path) -> Iterator[tuple[str, str]]:
    """("FILE, line N", the line) of those that are not blank."""
    for number, line in enumerate(split_lines(text), 1):
        if line.strip():
            yield f"{file}, line {number}", line


def read_json(path: Path) -> dict[str, Any]:
    """Raises ValueError for a file that is not a JSON object."""
    value = parse_json(read_text(path), repr(str(path)))
    if not isinstance(value, dict):
        raise ValueError(f"{str(path)!r} holds no JSON object")
    return value
