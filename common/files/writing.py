"""One way to leave a file behind: whole, flushed to disk or uploaded, or not there at all."""

from __future__ import annotations

import io
import json
import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sipo.common.files.urls import UrlPath, uploaded

_PROCESS = uuid.uuid4().hex[:8]
"""With the thread: so that two that write the same file at once do not write into one another's."""


@contextmanager
def atomic(path: Path) -> Iterator[io.BufferedRandom]:
    """A file that appears whole or not at all: temporary name, flush to disk, rename. By URL it is
    uploaded once it is whole.

    An OSError that names no file is given this one, so that "the disk is full" says where.
    """
    if isinstance(path, UrlPath):
        with uploaded(path) as file:
            yield file
        return
    writer = f"{os.getpid():x}{_PROCESS}{threading.get_native_id():x}"
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
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


def to_json(value: object, indent: int | None = None, sort_keys: bool = True) -> bytes:
    """Keys sorted, so that a value read back is written as it was, or in their own order."""
    return json.dumps(value, indent=indent, sort_keys=sort_keys).encode()


def write_json(
    path: Path, value: object, indent: int | None = None, sort_keys: bool = True
) -> None:
    with atomic(path) as file:
        file.write(to_json(value, indent, sort_keys) + b"\n")


def write_text(path: Path, text: str) -> None:
    """As UTF-8, whole or not at all."""
    with atomic(path) as file:
        file.write(text.encode())


def sweep(folder: Path, names: str = "*") -> None:
    """Remove what killed writers left of these files; nobody may be writing them. By URL nothing
    is ever left."""
    if isinstance(folder, UrlPath):
        return
    for left in folder.glob(f".{names}.tmp"):
        if left.is_file():
            left.unlink(missing_ok=True)
