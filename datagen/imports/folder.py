"""A list of pairs, JSONL or CSV, with `prompt`, `winner`, `loser` and perhaps `margin` a row.

`winner` and `loser` are paths inside --images, or inside the folder of the list.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from sipo.datagen.imports.rows import (
    Root,
    Row,
    Rows,
    UnusableError,
    margin_of,
    objects,
    read_inside,
    require_columns,
    row_or_dropped,
    source_files,
    text_of,
)
from sipo.datagen.imports.settings import ImportSettings

COLUMNS = ("prompt", "winner", "loser")


def files(settings: ImportSettings) -> list[Path]:
    lists = source_files(Path(settings.source), "*.jsonl", "*.csv")
    if len(lists) > 1:
        raise ValueError(f"source {settings.source!r} holds {len(lists)} lists; give one of them")
    return lists


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    [path] = files
    root = Root(settings.images or path.parent, settings.follow_links)
    read = _table if path.suffix == ".csv" else _lines
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        for key, row in read(path, file):
            yield row_or_dropped(key, partial(_row, key, root, row))


def _row(key: str, root: Root, row: dict[str, Any] | None) -> Row:
    if row is None:
        raise UnusableError("not a JSON object")
    winner, loser = (read_inside(root, row.get(role)) for role in ("winner", "loser"))
    return Row(key, text_of(row.get("prompt")), winner, loser, margin_of(row.get("margin")))


# (FILE:LINE, row) of either kind. Bytes that are no UTF-8 are surrogates, which `text_of` knows.


def _table(path: Path, file: TextIO) -> Iterator[tuple[str, dict[str, Any]]]:
    table = csv.DictReader(file)
    try:
        require_columns(str(path), table.fieldnames or (), COLUMNS)
        for row in table:
            yield f"{path.name}:{table.line_num}", row
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {table.line_num}: no CSV ({error}); look for a quote that is not closed"
        ) from None


def _lines(path: Path, file: TextIO) -> Iterator[tuple[str, dict[str, Any] | None]]:
    lines = enumerate(file, 1)
    said = ((f"{path.name}:{number}", _json(line)) for number, line in lines if line.strip())
    yield from objects(said, COLUMNS)


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
