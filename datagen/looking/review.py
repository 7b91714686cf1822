"""The page on which people look at the pairs of a folder: keep, flip, tie or drop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sipo.common.pictures.picture import Suffix
from sipo.datagen.looking.full_pair import FullPair, FullSide
from sipo.datagen.storage.decisions import (
    DECISIONS,
    REVIEW,
    Decision,
    Decisions,
    PairName,
    names_of,
)
from sipo.datagen.storage.pair_pictures import ROLES, StoredPicture, pair_pictures
from sipo.datagen.storage.sample_json import read_row
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.shard_index import PAIRS
from sipo.feedback.explained.drawn_boxes import drawn_boxes
from sipo.feedback.explained.failed_clause import single_complaints
from sipo.feedback.explained.marked_prompt import marks_in
from sipo.feedback.explained.plain_words import in_plain_words
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict
from sipo.pages.ratings import TAKEN_BACK, append_answer

_MEDIA = {"png": "image/png", "jpg": "image/jpeg", "mp4": "video/mp4"}


@dataclass(frozen=True)
class _Pair:
    name: PairName
    row: FullPair
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
            "title": "Is the winner better? Keep the pair, flip it, call it a tie, or drop it.",
            "done": f"Training on {self.folder.path} now heeds what you said.",
            "tasks": [
                self._task(pair, decisions.of(pair.name), decisions.note(pair.name))
                for pair in self.pairs
            ],
        }

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        picture = self.pairs[task].pictures[ROLES[item]]
        return picture.read(), _MEDIA[picture.suffix]

    def answer(self, task: int, value: object, note: str = "") -> None:
        name = self.pairs[task].name
        if value is None:
            taken_back = {"rater": self.rater, "pair": name.key, TAKEN_BACK: True}
            append_answer(self.folder.path / REVIEW, taken_back)
            return
        if value not in DECISIONS:
            raise ValueError(f"answer {value!r} is no decision; give {', '.join(DECISIONS)}")
        decided = {"pair": name.key, "winner": name.winner, "decision": value}
        decided |= {"note": note} if note else {}
        append_answer(self.folder.path / REVIEW, {"rater": self.rater, **decided})

    def _read(self, number: int) -> Iterable[_Pair]:
        index, tar = self.folder.pairs(number), self.folder.tar(PAIRS, number)
        pictures = pair_pictures(self.folder, number)
        for key, name in names_of(self.folder, number).items():
            row = read_row(tar, index.samples[key].members, FullPair)
            yield _Pair(name, row, pictures[key])

    def _task(self, pair: _Pair, decision: Decision | None, note: str) -> dict[str, object]:
        suffix, prompt = self.folder.config.suffix, pair.row.prompt
        failed = pair.row.loser.verdict.complaints
        kinds = {
            one.kind
            for side in pair.row.sides.values()
            for one in single_complaints(side.verdict.complaints)
        }
        return {
            "prompt": prompt.text,
            "marks": marks_in(prompt, failed),
            "tag": prompt.tag,
            "kinds": sorted(kinds - {"member"}),
            "items": [_item(prompt, role, one, suffix) for role, one in pair.row.sides.items()],
            "answer": decision,
            "note": note,
        }


def _item(prompt: Prompt, role: str, side: FullSide, suffix: Suffix) -> dict[str, object]:
    verdict = side.verdict
    boxes = drawn_boxes(prompt, verdict.boxes, verdict.complaints)
    return {
        "label": role,
        "note": f"{verdict.score:.3f}, {_said(prompt, verdict)}",
        "video": suffix == "mp4",
        "boxes": [[*box.xyxy, box.label, box.state] for box in boxes],
    }


def _said(prompt: Prompt, verdict: Verdict) -> str:
    return "\n".join(in_plain_words(prompt, verdict.complaints)) or "correct"
