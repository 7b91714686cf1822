"""The files of a source: those that list the rows, and the pictures that rows name."""

from __future__ import annotations

import errno
import os
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from sipo.datagen.imports.values import UnusableError
from sipo.datagen.storage.folder_config import FORMAT, read_object

MAX_FILE_BYTES = 2**28
"""Of one picture. What is larger is not even read."""

_URL = re.compile(r"[a-z][a-z0-9+.-]+://|data:", re.IGNORECASE)
_NO_FILE = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT, errno.ENOTDIR)


@dataclass(frozen=True)
class Root:
    """The folder in which the names of pictures begin, and whether links in it may lead out."""

    path: Path
    follow_links: bool = False


def read_inside(root: Root, name: Any) -> bytes:
    """A picture's file by the name a row gives it. Never one outside of `root`.

    Where links may be followed, the name still leads inside, and a link there anywhere: so a hub's
    cache keeps its files.
    """
    if not isinstance(name, str) or not name.strip():
        raise UnusableError("missing picture", "" if name is None else str(name))
    try:
        for spelled in _spellings(name):
            path = Path(os.path.abspath(root.path / spelled))
            leads_in = path.resolve().is_relative_to(root.path.resolve())
            if not leads_in and not path.is_relative_to(os.path.abspath(root.path)):
                raise UnusableError("path leads out of the folder", name)
            if not leads_in and not root.follow_links:
                raise UnusableError("link leads out of the folder, see --follow-links", name)
            if path.is_file():
                return _read(path, name)
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL
        if isinstance(error, UnusableError):
            raise
        if isinstance(error, OSError) and error.errno not in _NO_FILE:
            raise UnusableError("picture's file cannot be read", name) from None
    raise UnusableError("missing picture", name)


def _read(path: Path, name: str) -> bytes:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UnusableError("picture's file is too large", name)
    return path.read_bytes()


def _spellings(name: str) -> Iterator[str]:
    r"""`name`, then what other systems mean by it: .\a.png, a%20b.png, file:///a.png, NFC and NFD.

    Never another case: "aB.png" and "Ab.png" are two pictures.
    """
    yield name
    stripped = name.strip()
    if _URL.match(stripped):
        if not stripped.lower().startswith("file:"):
            raise UnusableError("picture is a URL", name)
        stripped = urlsplit(stripped).path
    slashed = stripped.replace("\\", "/")
    for spelled in dict.fromkeys((stripped, slashed, unquote(slashed))):
        yield from (unicodedata.normalize(form, spelled) for form in ("NFC", "NFD"))
        yield spelled


def source_files(source: Path, *patterns: str) -> list[Path]:
    """`source` itself, or the files of a folder that match, in order. ".CSV" is a ".csv".

    Raises ValueError where there is none.
    """
    if source.is_file():
        return [source]
    if source == Path("-") or source.is_fifo() or source.is_char_device():
        raise ValueError(
            f"source {str(source)!r} is a pipe, and an import that goes on reads its source again; "
            "save it as a file"
        )
    if not source.is_dir():
        raise ValueError(f"source {str(source)!r} does not exist; give a file or a folder")
    found = [path for path in _below(source) if _matches(path, patterns)]
    if not found:
        raise ValueError(f"source {str(source)!r} holds no {' or '.join(patterns)}; give another")
    return found


def _matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(path.name.lower(), pattern) for pattern in patterns)


def _below(source: Path) -> list[Path]:
    """Its files, but none hidden (._list.csv), in a folder that is (Spark's _temporary), or in one
    that an import made there.
    """
    found = []
    for folder, inner, names in os.walk(source, onerror=_fail):
        inner[:] = [name for name in inner if name[0] not in "._" and not _is_ours(folder, name)]
        found += [Path(folder, name) for name in names if name[0] != "."]
    return sorted(path for path in found if path.is_file())


def _is_ours(*folder: str) -> bool:
    config = Path(*folder, "config.json")
    return config.is_file() and (read_object(config) or {}).get("format") == FORMAT


def _fail(error: OSError) -> None:
    """A folder that may not be read has rows that nobody would miss."""
    raise error
