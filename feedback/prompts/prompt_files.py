"""Files of prompts as people have them: where each row stands, and what it says.

By its name a file is lines of plain text (`.txt`), a table, or JSON (any other): lines, one array
or one object; a pipe has no name and is what it begins as. What suites that ask have there becomes
rows of ours (feedback/question_suites).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from sipo.common.files.pipes import is_pipe, read_again
from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import STDIN, numbered_lines
from sipo.feedback.question_suites.suite_files import (
    TABLES_KNOWN,
    of_json_object,
    of_json_rows,
    of_table,
)

Rows = Iterator[tuple[str, object]]
"""(where it stands, what it says): a JSON value, a plain text as a string."""

TEXT_TABLES = (".csv", ".tsv")
TABLES = (*TEXT_TABLES, ".xlsx", ".parquet", ".arrow")
_AS_TEXT = "save its prompts as a .txt, one a line"
_COMMENT = re.compile(r"#+(\s|$)")  # "#1 dad mug" is a prompt
_MARK = "\ufeff"  # of byte order, once more where files were joined


def prompt_rows(path: Path) -> Rows:
    """Raises ValueError for a path that holds no text, and for a line that is no JSON."""
    text = _text(path)
    if path.suffix.lower() in TEXT_TABLES:
        return _table_rows(text, path)
    start = text.lstrip(_MARK + " \t\r\n")[:1]
    if path.suffix.lower() == ".txt" or (is_pipe(path) and start not in ("{", "[")):
        return _plain_rows(text, path)
    if start == "{" and (found := _object_rows(text, path)) is not None:
        return found
    rows = list(_array(text, path) if start == "[" else _json_rows(text, path))
    return of_json_rows(rows) or iter(rows)


def _text(path: Path) -> str:
    what = f"prompt file {str(path)!r}"
    if path != STDIN and not path.exists():
        raise ValueError(f"{what} does not exist; give a GenEval JSONL file")
    if path.is_dir():
        raise ValueError(f"{what} is a folder; give a file in it")
    if path.suffix.lower() in TABLES and path.suffix.lower() not in TEXT_TABLES:
        raise ValueError(f"{what} is a table; {_AS_TEXT}")
    text = read_again(path, "prompt file")
    if "\0" in text:
        raise ValueError(f"{what} holds NUL bytes, so it is no UTF-8 text; save it as UTF-8")
    return text


def _lines(text: str, path: Path) -> Iterator[tuple[str, str]]:
    for where, line in numbered_lines(text, _named(path)):
        if stripped := line.strip().strip(_MARK).strip():
            yield where, stripped


def _named(path: Path) -> str:
    return "standard input" if path == STDIN else str(path)


def _plain_rows(text: str, path: Path) -> Rows:
    comments = 0
    for where, line in _lines(text, path):
        if _COMMENT.match(line):
            comments += 1
        elif line.startswith("{") and _is_row(line):
            raise ValueError(f"{where} is a JSON row, no plain text; name the file .jsonl")
        else:
            yield where, line
    if comments:
        logging.getLogger(__name__).warning(
            "%s: lines that begin with '# ' are comments: %d are no prompts", _named(path), comments
        )


def _is_row(line: str) -> bool:
    try:
        return "prompt" in parse_json(line, "")
    except ValueError:
        return False


def _json_rows(text: str, path: Path) -> Rows:
    return ((where, parse_json(line, where)) for where, line in _lines(text, path))


def _array(text: str, path: Path) -> Rows:
    rows = parse_json(text.strip().strip(_MARK), _named(path))
    return ((f"{_named(path)}, row {number}", row) for number, row in enumerate(rows, 1))


def _table_rows(text: str, path: Path) -> Rows:
    if (found := of_table(path, text)) is None:
        raise ValueError(
            f"prompt file {str(path)!r} is a table; {_AS_TEXT} (of suites {TABLES_KNOWN} are "
            "read as they are)"
        )
    return found


def _object_rows(text: str, path: Path) -> Rows | None:
    """None for lines of JSON, and for an object that is one row."""
    try:
        value = parse_json(text.strip().strip(_MARK), "")
    except ValueError:
        return None
    return of_json_object(path, value) if isinstance(value, dict) else None
