"""A list of pairs, JSON or CSV, with `prompt`, `winner`, `loser` and perhaps `margin` a row.

`winner` and `loser` are paths inside --images, or inside the folder of the list. JSON is an object
a line, one list, or objects over several lines. Cells are parted by commas, semicolons or tabs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from sipo.common.files.text import read_text
from sipo.datagen.imports.listing import SURROGATES, json_rows
from sipo.datagen.imports.rows import PairRow, Rows, objects, require_columns, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, read_inside, source_files
from sipo.datagen.imports.values import UnusableError, margin_of, text_of

COLUMNS = ("prompt", "winner", "loser")
JSON = (".jsonl", ".json", ".ndjson")
TABLES = (".csv", ".tsv")


def files(settings: ImportSettings) -> list[Path]:
    """A folder's `.jsonl` or `.csv`; where there is none, its list of another name."""
    found = source_files(Path(settings.source), *(f"*{suffix}" for suffix in JSON + TABLES))
    lists = [path for path in found if path.suffix.lower() in (JSON[0], TABLES[0])] or found
    if len(lists) > 1:
        names = ", ".join(path.name for path in lists[:3])
        raise ValueError(
            f"source {settings.source!r} holds {len(lists)} lists ({names}); give one of them"
        )
    return lists


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    [path] = files
    root = Root(settings.images or path.parent, settings.follow_links)
    text = read_text(path, "list", errors=SURROGATES)
    for key, row in (_table if _is_table(path, text) else _lines)(path, text):
        yield row_or_dropped(key, partial(_row, key, root, row))


def _is_table(path: Path, text: str) -> bool:
    """By its name; a name that says nothing, by its first sign."""
    if path.suffix.lower() in JSON + TABLES:
        return path.suffix.lower() in TABLES
    return not text.lstrip().startswith(("{", "["))


def _row(key: str, root: Root, row: Mapping[str, object] | str) -> PairRow:
    if isinstance(row, str):
        raise UnusableError(row)
    winner, loser = (read_inside(root, row.get(role)) for role in ("winner", "loser"))
    return PairRow(key, text_of(row.get("prompt")), winner, loser, margin_of(row.get("margin")))


# (FILE:LINE, row, or why it is none) of either kind.


def _lines(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object] | str]]:
    said = ((f"{path.name}:{number}", value) for number, value in json_rows(text))
    yield from objects(said, COLUMNS)


def _table(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object] | str]]:
    """Read to its end before the first row: a quote that is not closed takes rows with it."""
    lines = io.StringIO(text, newline="")
    above, mark = _before_header(lines)
    table = csv.reader(lines, delimiter=mark, strict=True)
    try:
        header = [name.strip().lower() for name in next(table, [])]
        cells = [(above + table.line_num, row) for row in table if row]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {above + table.line_num}: no CSV ({error}); look for a quote that is "
            "not closed, or not doubled inside quotes"
        ) from None
    margin = ("margin",) if "margin" in header else ()
    require_columns(str(path), header, (*COLUMNS, *margin))
    for number, row in cells:
        yield f"{path.name}:{number}", _cells(header, row, mark)


def _before_header(lines: io.StringIO) -> tuple[int, str]:
    """Go to the header, behind comments and Excel's "sep=;": (lines passed, what parts cells)."""
    passed = at = 0
    while line := lines.readline():
        known = all(name in line.lower() for name in COLUMNS)
        if known or not (line.startswith("#") or line.lower().startswith("sep=") or line.isspace()):
            lines.seek(at)
            return passed, max(",;\t", key=line.count)
        passed, at = passed + 1, lines.tell()
    return passed, ","


def _cells(header: list[str], row: list[str], mark: str) -> Mapping[str, object] | str:
    if any(cell.strip() for cell in row[len(header) :]):
        return "more cells than the header"  # a comma in a prompt that is not quoted
    found = dict(zip(header, row, strict=False))
    if mark == ";" and "margin" in found:  # as spreadsheets write where 0,5 is a half
        found["margin"] = found["margin"].replace(",", ".")
    return found
