"""Tables as text, by their header: CSV with commas, or semicolons as Excel writes it, and TSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path

from sipo.common.files.text import split_lines


def csv_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    """("FILE, line N", by column, whose names are small), N the last line of the row.

    Raises ValueError that names the line for what is no CSV, and for a row that is too long.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else _delimiter(text)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        if twice := [name for name in names if name and names.count(name) > 1]:
            raise ValueError(f"{path}, line 1: two columns are called {twice[0]!r}; keep one")
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row:
                raise ValueError(f"{where}: more cells than the header has; put the text in quotes")
            yield where, {name.strip().lower(): value for name, value in row.items()}
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: no CSV ({error})") from None


def _delimiter(text: str) -> str:
    """Excel writes ";" where the comma is the decimal point."""
    header = (split_lines(text) or [""])[0]
    return ";" if ";" in header and "," not in header else ","
