"""HPDv3 (Ma et al. 2025): `{prompt, path1, path2, confidence, choice_dist}`; `path1` is preferred.

`choice_dist` has the votes for either: its difference, relative to all votes, is the margin.
Rows without votes have margin 1; `confidence` is not looked at.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from sipo.datagen.imports.listing import keyed_rows, train_json
from sipo.datagen.imports.rows import (
    Root,
    Row,
    Rows,
    UnusableError,
    read_inside,
    row_or_dropped,
    text_of,
)
from sipo.datagen.imports.settings import ImportSettings

files = train_json


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    for key, root, row in keyed_rows(settings, files, ("prompt", "path1", "path2")):
        yield row_or_dropped(key, partial(_row, key, root, row))


def _row(key: str, root: Root, row: dict[str, Any] | None) -> Row:
    if row is None:
        raise UnusableError("not a JSON object")
    margin = _margin(row.get("choice_dist"))
    winner, loser = (read_inside(root, row.get(name)) for name in ("path1", "path2"))
    return Row(key, text_of(row.get("prompt")), winner, loser, margin)


def _margin(votes: Any) -> float:
    if votes is None:
        return 1.0
    if not isinstance(votes, list) or not all(isinstance(n, int | float) for n in votes):
        raise UnusableError("missing label")
    if len(votes) != 2 or min(votes) < 0 or votes[0] == votes[1]:
        raise UnusableError("tie" if len(votes) == 2 and votes[0] == votes[1] else "missing label")
    if votes[0] < votes[1]:
        raise UnusableError("votes contradict the order of the paths")
    return float((votes[0] - votes[1]) / sum(votes))
