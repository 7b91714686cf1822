"""Which suite a file is of, by what stands in it, and its prompts as rows of ours.

A file that is none of them is None here: then it is read as what it says itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sipo.common.files.csv_rows import csv_rows
from sipo.feedback.question_suites import (
    corebench,
    dpg,
    geneval2,
    geneval_plus,
    oneig,
    tiif,
    unigenbench,
)
from sipo.feedback.question_suites.suite_rows import OwnRows, Row, Rows

TABLES_KNOWN = "DPG-Bench's, DSG-1k's, UniGenBench++'s and OneIG-Bench's"

_OF_ROWS: tuple[tuple[Callable[[Row], bool], Callable[[Rows], OwnRows], str], ...] = (
    (geneval2.is_row, geneval2.own_rows, geneval2.KIND),
    (dpg.is_row, dpg.own_rows, dpg.KIND),
    (tiif.is_row, tiif.own_rows, tiif.KIND),
)


def of_json_rows(rows: Sequence[tuple[str, object]]) -> OwnRows | None:
    """If one row is a suite's, all must be."""
    found = [(where, row) for where, row in rows if isinstance(row, Mapping)]
    for is_row, own_rows, kind in _OF_ROWS:
        if any(is_row(row) for _, row in found):
            if len(found) < len(rows):
                where = next(where for where, row in rows if not isinstance(row, Mapping))
                raise ValueError(f"{where}: no row of {kind}, as others of the file are")
            return own_rows(found)
    if len(found) == len(rows) and geneval_plus.is_file([row for _, row in found]):
        return geneval_plus.own_rows(found)
    return None


def of_json_object(path: Path, value: Mapping[str, object]) -> OwnRows | None:
    """Of a file that is one object of objects."""
    rows = {name: row for name, row in value.items() if isinstance(row, Mapping)}
    if not rows or len(rows) < len(value):
        return None
    if corebench.is_object(rows):
        return corebench.own_rows_of_object(path, rows)
    return oneig.own_rows_of_object(path) if oneig.is_object(rows) else None


def of_table(path: Path, text: str) -> OwnRows | None:
    """Of a CSV or TSV."""
    rows = list(csv_rows(path, text))
    columns = rows[0][1].keys() if rows else ()
    if set(columns) >= dpg.COLUMNS:
        return dpg.own_rows_of_table(path, rows)
    if unigenbench.is_table(columns):
        return unigenbench.own_rows_of_table(rows)
    return oneig.own_rows_of_table(path, rows) if oneig.is_table(columns) else None
