"""Which suite a file is of, by what stands in it, and its prompts as rows of ours.

A file that is none of them is None here: then it is read as what it says itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from sipo.feedback.question_suites.suite_rows import OwnRows

TABLES_KNOWN = "DPG-Bench's, DSG-1k's, UniGenBench++'s or OneIG-Bench's"


def of_json_rows(rows: Sequence[tuple[str, object]]) -> OwnRows | None:
    """If one row is a suite's, all must be."""
    found = [(where, row) for where, row in rows if isinstance(row, Mapping)]
    for suite in (geneval2, dpg, tiif):
        if any(suite.is_row(row) for _, row in found):
            if len(found) < len(rows):
                where = next(where for where, row in rows if not isinstance(row, Mapping))
                raise ValueError(f"{where}: no row of {suite.KIND}, as others of the file are")
            return suite.own_rows(found)
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
        return dpg.own_rows_of_table(rows)
    if unigenbench.is_table(columns):
        return unigenbench.own_rows_of_table(rows)
    return oneig.own_rows_of_table(path, rows) if oneig.is_table(columns) else None
