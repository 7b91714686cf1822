"""What people decided of pairs, keep, flip or drop: lines beside the shards, heeded by training.

A decision is on two candidates: "keep" says that the winner's picture is the better one, "flip"
that the loser's is. It holds wherever the two are a pair again, paired by another margin or judged
by another judge, also when they changed places; and it waits where they are none.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from sipo.common.files.writing import atomic
from sipo.datagen.storage.sample_json import PairJson, read_row
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import PAIRS, PairFacts, PairIndex
from sipo.pages.ratings import read_answers

REVIEW = "review.jsonl"

Decision = Literal["keep", "flip", "drop"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
_TURNED: dict[Decision, Decision] = {"keep": "flip", "flip": "keep", "drop": "drop"}


@dataclass(frozen=True)
class ReviewCounts:
    """Of pairs, by what was decided; `open` were not looked at, `stale` are decisions without."""

    keep: int = 0
    flip: int = 0
    drop: int = 0
    open: int = 0
    stale: int = 0


@dataclass(frozen=True)
class PairName:
    """The pair's candidates, and where it stands: `place` names its bytes."""

    pictures_by: str
    winner: str
    loser: str
    place: str

    @property
    def key(self) -> str:
        """The same for the same two pictures, whichever won and in whatever folder they are."""
        return "-".join((self.pictures_by, *sorted((self.winner, self.loser))))


class Decisions:
    """What people decided last, pair by pair; none where nobody has looked yet.

    Answers of older folders name a pair by its place alone. Raises ValueError for a line that says
    something else than a decision.
    """

    def __init__(self, folder: ShardFolder) -> None:
        path = folder.path / REVIEW
        answers = read_answers(path, "pair")
        for key, answer in answers.items():
            if (decision := answer.get("decision")) not in DECISIONS:
                raise ValueError(
                    f"{path}: pair {key} is decided {decision!r}; it must be {', '.join(DECISIONS)}"
                )
        renamed = {str(answer.get("was")) for answer in answers.values()}
        self.answers = {key: answer for key, answer in answers.items() if key not in renamed}
        self._order = {key: number for number, key in enumerate(self.answers)}

    def __bool__(self) -> bool:
        return bool(self.answers)

    def of(self, name: PairName) -> Decision | None:
        """Of the pair as it is now: what was kept is flipped where winner and loser changed."""
        answered = [key for key in (name.key, name.place) if key in self.answers]
        if not answered:
            return None
        answer = self.answers[max(answered, key=self._order.__getitem__)]
        decision: Decision = answer["decision"]
        turned = answer.get("winner", name.winner) != name.winner
        return _TURNED[decision] if turned else decision

    def count(self, names: Iterable[PairName]) -> ReviewCounts:
        pairs = list(names)
        decided: Counter[str] = Counter(self.of(name) or "open" for name in pairs)
        present = {key for name in pairs for key in (name.key, name.place)}
        return ReviewCounts(**decided, stale=len(self.answers.keys() - present))


def pair_key(index: PairIndex, key: str) -> str:
    """The same for the same bytes: of the shard's hash and the pair's name in it."""
    return f"{index.tar.sha256[:12]}-{key}"


def names_of(folder: ShardFolder, number: int) -> dict[str, PairName]:
    """The pairs of a shard by their keys in its index."""
    index, tar = folder.pairs(number), folder.tar(PAIRS, number)
    pictures_by = folder.part_of(number).config.pictures_digest
    return {
        key: PairName(pictures_by, *_sides(tar, sample), pair_key(index, key))
        for key, sample in index.samples.items()
    }


def _sides(tar: Path, sample: PairFacts) -> tuple[str, str]:
    """Winner and loser, which indexes of older folders do not say."""
    if sample.model_fields_set >= {"winner", "loser"}:
        return sample.winner, sample.loser
    row = read_row(tar, sample.members, PairJson)
    return row.winner.key, row.loser.key


def reviewed(folder: ShardFolder) -> bytes:
    """The answers, those on a pair's place once more by the names of its candidates.

    To be kept before the pairs are made anew; b"" where there are none.
    """
    path, decisions = folder.path / REVIEW, Decisions(folder)
    if not path.is_file():
        return b""
    written = path.read_bytes()
    lines = [written[: written.rfind(b"\n") + 1]]
    for number in folder.numbers:
        with suppress(ValueError):  # a shard that is damaged has no pairs that could be named
            for name in names_of(folder, number).values():
                if answer := decisions.answers.get(name.place):
                    renamed = {"pair": name.key, "winner": name.winner, "was": name.place}
                    lines.append(json.dumps(answer | renamed).encode() + b"\n")
    return b"".join(lines)


def carry_decisions(folder: ShardFolder) -> None:
    """`review.jsonl` as `reviewed` has it."""
    lines = reviewed(folder)
    if lines and lines != (folder.path / REVIEW).read_bytes():
        with atomic(folder.path / REVIEW) as file:
            file.write(lines)
