"""HPDv3 (Ma et al. 2025): `{prompt, path1, path2, confidence, choice_dist}`; `path1` is preferred.

`choice_dist` has the votes for either: its difference, relative to all votes, is the margin.
Rows without votes have margin 1; `confidence` is not looked at.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sipo.datagen.imports.listing import keyed_rows, train_json
from sipo.datagen.imports.rows import PairRow, Rows, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, read_inside
from sipo.datagen.imports.values import UnusableError, number_of, text_of, told_apart

files = train_json


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    for key, root, row in keyed_rows(settings, files, ("prompt", "path1", "path2")):
        yield row_or_dropped(key, partial(_row, key, root, row))


def _row(key: str, root: Root, row: dict[str, object] | str) -> PairRow:
    if isinstance(row, str):
        raise UnusableError(row)
    margin = _margin(row.get("choice_dist"))
    winner, loser = (read_inside(root, row.get(name)) for name in ("path1", "path2"))
    return PairRow(key, text_of(row.get("prompt")), winner, loser, margin)


def _margin(votes: object) -> float:
    if votes is None:
        return 1.0
    if not isinstance(votes, list) or len(votes) != 2:
        raise UnusableError("missing label")
    first, second = (number_of(vote) for vote in votes)
    if not (first >= 0 and second >= 0):
        raise UnusableError("votes are no numbers")
    if first == second:
        raise UnusableError("tie")
    if first < second:
        raise UnusableError("votes contradict the order of the paths")
    half = 0.5 if first > 1 else 1.0  # exact, and no sum overflows
    return told_apart((half * first - half * second) / (half * first + half * second))
