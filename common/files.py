"""Files: one way to open text that people wrote, one way to leave files behind.

Text is UTF-8, with or without a byte order mark, or UTF-16 with one (what Excel and PowerShell
save). A line ends at "\\n", "\\r\\n" or "\\r", and nowhere else: `str.splitlines` also splits at
U+2028, U+0085 and form feeds, which stand inside prompts and JSON strings.

A folder that a command writes into has one writer: `only_writer`.
"""

from __future__ import annotations

import codecs
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sipo.common.strict_json import parse_json

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
    path = Path(path)
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


@contextmanager
def atomic(path: Path) -> Iterator[io.BufferedRandom]:
    """A file that appears whole or not at all: temporary name, flush to disk, rename.

    An OSError that names no file is given this one, so that "the disk is full" says where.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)
        with suppress(OSError):  # the error that is on its way says more
            temporary.unlink(missing_ok=True)
        raise


def to_json(value: Any, indent: int | None = None, sort_keys: bool = True) -> bytes:
    """Keys sorted, so that a value read back is written as it was, or in their own order."""
    return json.dumps(value, indent=indent, sort_keys=sort_keys).encode()


def write_json(path: Path, value: Any, indent: int | None = None, sort_keys: bool = True) -> None:
    with atomic(path) as file:
        file.write(to_json(value, indent, sort_keys) + b"\n")


def read_json(path: Path) -> dict[str, Any]:
    """Raises ValueError for a file that is not a JSON object."""
    value = parse_json(read_text(path), repr(str(path)))
    if not isinstance(value, dict):
        raise ValueError(f"{str(path)!r} holds no JSON object")
    return value


def write_text(path: Path, text: str) -> None:
    """As UTF-8, whole or not at all."""
    with atomic(path) as file:
        file.write(text.encode())


@contextmanager
def only_writer(folder: Path, command: str) -> Iterator[None]:
    """Refuse a second process that would write into the same folder. Held while the block runs.

    Makes the folder; one that was made for it and in which nothing was written goes again.
    `command` is who else it would be ("sipo-train"). Where a file system knows no locks (some
    network ones) nothing is refused.
    """
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(folder, exclusive=True) as held:
            if not held:
                raise ValueError(
                    f"another {command} is writing to {folder}; wait for it to end, or give "
                    "another folder"
                )
            yield
    finally:
        for part in made:
            with suppress(OSError):  # it is not empty
                part.rmdir()


def is_written_to(folder: Path) -> bool:
    """Whether a process holds `only_writer` of it now."""
    with _lock(folder, exclusive=False) as held:
        return not held


@contextmanager
def _lock(folder: Path, exclusive: bool) -> Iterator[bool]:
    """Whether the folder's lock could be had; it ends with the process, however that ends."""
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        held = True
        try:
            how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:  # no locks here
            pass
        yield held
    finally:
        os.close(descriptor)
