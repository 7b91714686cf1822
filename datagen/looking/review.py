"""The page on which people look at the pairs of a folder: keep, flip or drop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sipo.common.pictures.picture import Suffix
from sipo.datagen.storage.decisions import (
    DECISIONS,
    REVIEW,
    Decision,
    Decisions,
    PairName,
    names_of,
)
from sipo.datagen.storage.pair_pictures import ROLES, StoredPicture, pair_pictures
from sipo.datagen.storage.sample_json import PairJson, PairSide, read_row
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.shard_index import PAIRS
from sipo.pages.ratings import append_answer

_MEDIA = {"png": "image/png", "jpg": "image/jpeg", "mp4": "video/mp4"}


@dataclass(frozen=True)
class _Pair:
    name: PairName
    row: PairJson
    pictures: dict[str, StoredPicture]


class ReviewSession:
    """All pairs of a folder in their order. Raises ValueError where there are none."""

    def __init__(self, shards: Path, rater: str) -> None:
        self.folder, self.rater = open_folder(shards), rater
        self.pairs = [pair for number in self.folder.numbers for pair in self._read(number)]
        if not self.pairs:
            raise ValueError(f"{shards} holds no pairs; lower the margin with sipo-data pair")

    def describe(self) -> dict[str, object]:
        decisions = Decisions(self.folder)
        return {
            "mode": "decide",
            "title": "Keep the pair, flip winner and loser, or drop it?",
            "done": f"Training on {self.folder.path} now heeds what you said.",
            "tasks": [self._task(pair, decisions.of(pair.name)) for pair in self.pairs],
        }

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        picture = self.pairs[task].pictures[ROLES[item]]
        return picture.read(), _MEDIA[picture.suffix]

    def answer(self, task: int, value: object) -> None:
        if value not in DECISIONS:
            raise ValueError(f"answer {value!r} is no decision; give {', '.join(DECISIONS)}")
        name = self.pairs[task].name
        decided = {"pair": name.key, "winner": name.winner, "decision": value}
        append_answer(self.folder.path / REVIEW, {"rater": self.rater, **decided})

    def _read(self, number: int) -> Iterable[_Pair]:
        index, tar = self.folder.pairs(number), self.folder.tar(PAIRS, number)
        pictures = pair_pictures(self.folder, number)
        for key, name in names_of(self.folder, number).items():
            row = read_row(tar, index.samples[key].members, PairJson)
            yield _Pair(name, row, pictures[key])

    def _task(self, pair: _Pair, decision: Decision | None) -> dict[str, object]:
        suffix = self.folder.config.suffix
        items = [_item(role, side, suffix) for role, side in pair.row.sides.items()]
        return {"prompt": pair.row.prompt.text, "items": items, "answer": decision}


def _item(role: str, side: PairSide, suffix: Suffix) -> dict[str, object]:
    note = f"{side.verdict.score:.3f}, {side.verdict.reason or 'correct'}"
    return {"label": role, "note": note, "video": suffix == "mp4"}
