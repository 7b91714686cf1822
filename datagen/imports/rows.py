"""What every format gives: a row is a pair, or it was dropped for a cause that is counted."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sipo.datagen.schema import read_object
from sipo.datagen.settings import FORMAT

MAX_FILE_BYTES = 2**28
"""Of one picture. What is larger is not even read."""


class UnusableError(ValueError):
    """Why a row is no pair. The text is the cause under which it is counted."""


@dataclass(frozen=True)
class Row:
    """A pair as its source has it: pictures are bytes nobody has looked at yet.

    `key` says where in the source. `margin` in (0, 1] is how much better the winner is.
    """

    key: str
    prompt: str
    winner: bytes
    loser: bytes
    margin: float = 1.0


@dataclass(frozen=True)
class Dropped:
    key: str
    cause: str


Rows = Iterator[Row | Dropped]


def row_or_dropped(key: str, make: Callable[[], Row]) -> Row | Dropped:
    try:
        return make()
    except UnusableError as error:
        return Dropped(key, str(error))


def by_labels(
    key: str,
    prompt: Any,
    pictures: tuple[Any, Any],
    labels: tuple[Any, Any],
    margin: Any = None,
) -> Row:
    """The picture of the greater label wins; without `margin` it is the labels' difference."""
    first, second = (_label(label) for label in labels)
    if first == second:
        raise UnusableError("tie")
    winner, loser = pictures if first > second else pictures[::-1]
    difference = abs(first - second) if margin is None else margin_of(margin)
    return Row(key, text_of(prompt), bytes_of(winner), bytes_of(loser), difference)


def margin_of(value: Any) -> float:
    """Of a row that says it; 1 where it does not."""
    margin = 1.0 if value in (None, "") else _share(value, "margin")
    if margin == 0:
        raise UnusableError("tie")
    return margin


def _label(value: Any) -> float:
    if value in (None, "", b""):
        raise UnusableError("missing label")
    return _share(value, "label")


def _share(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not 0 <= number <= 1:
        raise UnusableError(f"{name} is no number from 0 to 1")
    return number


def text_of(value: Any) -> str:
    """A prompt of a row, from UTF-8 where it is bytes."""
    if value is None or not isinstance(value, str | bytes):
        raise UnusableError("missing prompt")
    try:
        text = value if isinstance(value, str) else value.decode("utf-8")
        text.encode("utf-8")  # lone surrogates: bytes that were no UTF-8, or "\ud800" in JSON
    except UnicodeError:
        raise UnusableError("prompt is not UTF-8") from None
    if not text.strip():
        raise UnusableError("empty prompt")
    return text.strip()


def bytes_of(value: Any) -> bytes:
    """A picture of a row: bytes, or what `datasets` makes of a picture ({"bytes", "path"})."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None:
        raise UnusableError("missing picture")
    if not isinstance(data, bytes):
        raise UnusableError("picture is not bytes")
    return data


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
    if not isinstance(name, str) or not name:
        raise UnusableError("missing picture")
    try:
        path = Path(os.path.abspath(root.path / name))
        leads_in = path.resolve().is_relative_to(root.path.resolve())
        if not leads_in and not path.is_relative_to(os.path.abspath(root.path)):
            raise UnusableError("path leads out of the folder")
        if not leads_in and not root.follow_links:
            raise UnusableError("link leads out of the folder, see --follow-links")
        if not path.is_file():
            raise UnusableError("missing picture")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UnusableError("picture's file is too large")
        return path.read_bytes()
    except (OSError, ValueError) as error:  # a name that is too long, or has a NUL
        if isinstance(error, UnusableError):
            raise
        raise UnusableError("missing picture") from None


def source_files(source: Path, *patterns: str) -> list[Path]:
    """`source` itself, or the files of a folder that match, in order.

    Raises ValueError where there is none.
    """
    if source.is_file():
        return [source]
    if not source.is_dir():
        raise ValueError(f"source {str(source)!r} does not exist; give a file or a folder")
    found = [p for p in _below(source) if any(map(p.match, patterns))]
    if not found:
        raise ValueError(f"source {str(source)!r} holds no {' or '.join(patterns)}; give another")
    return found


def _below(source: Path) -> list[Path]:
    """Its files, but none hidden (.DS_Store, ._list.csv) and none that an import made there."""
    found = []
    for folder, inner, names in os.walk(source):
        here = Path(folder)
        inner[:] = [name for name in inner if name[0] != "." and not _is_ours(here / name)]
        found += [here / name for name in names if name[0] != "."]
    return sorted(path for path in found if path.is_file())


def _is_ours(folder: Path) -> bool:
    config = folder / "config.json"
    return config.is_file() and (read_object(config) or {}).get("format") == FORMAT


def objects(
    rows: Iterable[tuple[str, Any]], wanted: Sequence[str]
) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """(where, what JSON says there) -> (where, the object), None for what is none.

    Raises ValueError where the first object lacks one of `wanted`: the list is of another kind.
    A later one that lacks it is a row that lacks a picture or a prompt.
    """
    known = False
    for where, value in rows:
        found = value if isinstance(value, dict) else None
        if found is not None and not known:
            require_columns(where, found, wanted)
            known = True
        yield where, found


def require_columns(where: str, names: Iterable[str], wanted: Iterable[str]) -> None:
    """Raises ValueError that names what lacks and what is there."""
    there = list(names)
    if missing := [name for name in wanted if name not in there]:
        has = ", ".join(map(str, there)) or "nothing"
        raise ValueError(
            f"{where} lacks {', '.join(missing)}; it has {has}; "
            "rename them, or choose another format"
        )
