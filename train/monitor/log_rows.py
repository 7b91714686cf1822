"""The rows of log.jsonl, as everything that looks at a run reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text, split_lines

Row = dict[str, Any]


def read_rows(path: Path) -> list[Row]:
    """The rows of a log.jsonl; [] where there is none.

    What stands at the end and is no row was being written when the run was killed, and is left
    out. Raises ValueError for anything else that is no row.
    """
    if not path.exists():
        return []
    rows: list[Row] = []
    broken = 0
    for number, line in enumerate(split_lines(read_text(path, "log")), 1):
        if (row := _row(line)) is None:
            broken = broken or number
        elif broken:
            raise ValueError(
                f"log {str(path)!r}, line {broken}, is damaged; remove that line, and the same "
                "command goes on"
            )
        else:
            rows.append(row)
    return rows


def _row(line: str) -> Row | None:
    try:
        row = load_json(line)
    except ValueError:
        return None
    return row if isinstance(row, dict) and isinstance(row.get("step"), int) else None
