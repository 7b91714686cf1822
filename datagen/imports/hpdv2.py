"""HPDv2 (Wu et al. 2023), `train.json`: `{prompt, file_path[], human_preference[]}`, 1 preferred.

Also `image_path[]` with `rank[]` (`test.json`): each image wins over all of a higher rank.
"""

from __future__ import annotations

from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any

from sipo.datagen.imports.listing import keyed_rows, train_json
from sipo.datagen.imports.rows import (
    Dropped,
    Root,
    Row,
    Rows,
    UnusableError,
    by_labels,
    read_inside,
    row_or_dropped,
    text_of,
)
from sipo.datagen.imports.settings import ImportSettings

files = train_json


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    for key, root, row in keyed_rows(settings, files, ("prompt",)):
        if row is None:
            yield Dropped(key, "not a JSON object")
            continue
        names = row.get("file_path", row.get("image_path"))
        if not isinstance(names, list) or len(names) < 2:
            yield Dropped(key, "missing picture")
        elif "rank" in row:
            yield from _ranked(key, root, row.get("prompt"), names, row["rank"])
        else:
            yield row_or_dropped(key, partial(_preferred, key, root, row, names))


def _preferred(key: str, root: Root, row: dict[str, Any], names: list[Any]) -> Row:
    labels = row.get("human_preference")
    if not isinstance(labels, list) or not len(labels) == len(names) == 2:
        raise UnusableError("missing label")
    first, second = (read_inside(root, name) for name in names)
    return by_labels(key, row.get("prompt"), (first, second), (labels[0], labels[1]))


def _ranked(key: str, root: Root, prompt: Any, names: list[Any], ranks: Any) -> Rows:
    numbers = isinstance(ranks, list) and all(isinstance(rank, int | float) for rank in ranks)
    if not numbers or len(ranks) != len(names):
        yield Dropped(key, "missing label")
        return

    def pair(winner: int, loser: int) -> Row:
        better, worse = (read_inside(root, names[i]) for i in (winner, loser))
        return Row(f"{key}:{winner}-{loser}", text_of(prompt), better, worse)

    for winner, loser in permutations(range(len(names)), 2):
        if ranks[winner] < ranks[loser]:
            yield row_or_dropped(f"{key}:{winner}-{loser}", partial(pair, winner, loser))
        elif ranks[winner] == ranks[loser] and winner < loser:
            yield Dropped(f"{key}:{winner}-{loser}", "tie")
