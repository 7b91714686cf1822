"""HPDv2 (Wu et al. 2023), `train.json`: `{prompt, file_path[], human_preference[]}`, 1 preferred.

Also `image_path[]` with `rank[]` (`test.json`): each image wins over all of a higher rank.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import permutations
from pathlib import Path

from sipo.datagen.imports.listing import keyed_rows, train_json
from sipo.datagen.imports.rows import Dropped, PairRow, Rows, by_labels, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, read_inside
from sipo.datagen.imports.values import UnusableError, number_of, text_of

files = train_json


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    for key, root, row in keyed_rows(settings, files, ("prompt",)):
        if isinstance(row, str):
            yield Dropped(key, row)
            continue
        names = _first_given(row, "file_path", "image_path")
        if not isinstance(names, list) or len(names) < 2:
            yield Dropped(key, "missing picture")
        elif row.get("rank") is not None:
            yield from _ranked(key, root, row.get("prompt"), names, row["rank"])
        elif len(names) > 2 and isinstance(preferred := row.get("human_preference"), list):
            ranks = [-number_of(each) for each in preferred]
            yield from _ranked(key, root, row.get("prompt"), names, ranks)
        else:
            yield row_or_dropped(key, partial(_preferred, key, root, row, names))


def _first_given(row: dict[str, object], *names: str) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _preferred(key: str, root: Root, row: dict[str, object], names: list[object]) -> PairRow:
    labels = row.get("human_preference")
    if not isinstance(labels, list) or not len(labels) == len(names) == 2:
        raise UnusableError("missing label")
    first, second = (read_inside(root, name) for name in names)
    return by_labels(key, row.get("prompt"), (first, second), (labels[0], labels[1]))


def _ranked(key: str, root: Root, prompt: object, names: list[object], ranks: object) -> Rows:
    """A rank that is no number costs the pairs that it is in."""
    if not isinstance(ranks, list) or len(ranks) != len(names):
        yield Dropped(key, "missing label")
        return
    numbers = [number_of(rank) for rank in ranks]

    def pair(winner: int, loser: int) -> PairRow:
        better, worse = (read_inside(root, names[i]) for i in (winner, loser))
        return PairRow(f"{key}:{winner}-{loser}", text_of(prompt), better, worse)

    for winner, loser in permutations(range(len(names)), 2):
        place = f"{key}:{winner}-{loser}"
        known = not math.isnan(numbers[winner] + numbers[loser])
        if known and numbers[winner] < numbers[loser]:
            yield row_or_dropped(place, partial(pair, winner, loser))
        elif known and numbers[winner] == numbers[loser] and winner < loser:
            yield Dropped(place, "tie")
        elif not known and winner < loser:
            yield Dropped(place, "rank is no number")
