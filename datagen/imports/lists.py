"""A list of rows as people write them, JSON or CSV, with the columns that a format wants.

JSON is an object a line, one list, or objects over several lines. Cells are parted by commas,
semicolons or tabs.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from sipo.common.files.text import read_text
from sipo.datagen.imports.listing import SURROGATES, json_rows
from sipo.datagen.imports.rows import objects, require_columns
from sipo.datagen.imports.sources import source_files

JSON = (".jsonl", ".json", ".ndjson")
TABLES = (".csv", ".tsv")
Row = tuple[str, Mapping[str, object] | str]
"""FILE:LINE and the row, or why it is none."""


def the_list(source: str) -> list[Path]:
    """A folder's `.jsonl` or `.csv`; where there is none, its list of another name."""
    found = source_files(Path(source), *(f"*{suffix}" for suffix in JSON + TABLES))
    lists = [path for path in found if path.suffix.lower() in (JSON[0], TABLES[0])] or found
    if len(lists) > 1:
        names = ", ".join(path.name for path in lists[:3])
        raise ValueError(f"source {source!r} holds {len(lists)} lists ({names}); give one of them")
    return lists


def listed_rows(path: Path, columns: Sequence[str], optional: Sequence[str] = ()) -> Iterator[Row]:
    """Raises ValueError where the first row lacks one of `columns`."""
    text = read_text(path, "list", errors=SURROGATES)
    return (
        _table(path, text, columns, optional)
        if _is_table(path, text)
        else _lines(path, text, columns)
    )


def _is_table(path: Path, text: str) -> bool:
    """By its name; a name that says nothing, by its first sign."""
    if path.suffix.lower() in JSON + TABLES:
        return path.suffix.lower() in TABLES
    return not text.lstrip().startswith(("{", "["))


def _lines(path: Path, text: str, columns: Sequence[str]) -> Iterator[Row]:
    said = ((f"{path.name}:{number}", value) for number, value in json_rows(text))
    yield from objects(said, columns)


def _table(path: Path, text: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Read to its end before the first row: a quote that is not closed takes rows with it."""
    lines = io.StringIO(text, newline="")
    above, mark = _before_header(lines, columns)
    table = csv.reader(lines, delimiter=mark, strict=True)
    try:
        header = [name.strip().lower() for name in next(table, [])]
        cells = [(above + table.line_num, row) for row in table if row]
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {above + table.line_num}: no CSV ({error}); look for a quote that is "
            "not closed, or not doubled inside quotes"
        ) from None
    also = [name for name in optional if name in header]
    require_columns(str(path), header, (*columns, *also))
    for number, row in cells:
        yield f"{path.name}:{number}", _cells(header, row, mark)


def _before_header(lines: io.StringIO, columns: Sequence[str]) -> tuple[int, str]:
    """Go to the header, behind comments and Excel's "sep=;": (lines passed, what parts cells)."""
    passed = at = 0
    while line := lines.readline():
        known = all(name in line.lower() for name in columns)
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
