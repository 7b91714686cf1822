"""People look at pairs: keep, flip or drop. What they say lies beside the shards.

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
from typing import Any, Literal, get_args

from sipo.common.files.writing import atomic
from sipo.datagen.storage.shard_folder import PAIRS, ShardFolder, open_folder
from sipo.datagen.storage.shards import read_fields, read_row
from sipo.pages.ratings import append_answer, read_answers

REVIEW = "review.jsonl"
_MEDIA = {"png": "image/png", "mp4": "video/mp4"}

Decision = Literal["keep", "flip", "drop"]
DECISIONS: tuple[Decision, ...] = get_args(Decision)
_TURNED: dict[Decision, Decision] = {"keep": "flip", "flip": "keep", "drop": "drop"}


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
            decision: Any = answer.get("decision")
            if decision not in DECISIONS:
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
        said = [key for key in (name.key, name.place) if key in self.answers]
        if not said:
            return None
        answer = self.answers[max(said, key=self._order.__getitem__)]
        decision: Decision = answer["decision"]
        turned = answer.get("winner", name.winner) != name.winner
        return _TURNED[decision] if turned else decision

    def count(self, names: Iterable[PairName]) -> dict[str, int]:
        """`keep`, `flip`, `drop`; `open`: pairs not looked at; `stale`: decisions without pair."""
        known = list(names)
        counts = Counter(self.of(name) for name in known)
        there = {key for name in known for key in (name.key, name.place)}
        return {
            **{decision: counts[decision] for decision in DECISIONS},
            "open": counts[None],
            "stale": len(self.answers.keys() - there),
        }


def pair_key(index: dict[str, Any], key: str) -> str:
    """The same for the same bytes: of the shard's hash and the pair's name in it."""
    return f"{index['tar']['sha256'][:12]}-{key}"


def names_of(folder: ShardFolder, number: int) -> dict[str, PairName]:
    """The pairs of a shard by their keys in its index."""
    index, tar = folder.index(PAIRS, number), folder.tar(PAIRS, number)
    return {
        key: PairName(folder.pictures_by, *_sides(tar, sample), pair_key(index, key))
        for key, sample in index["samples"].items()
    }


def _sides(tar: Path, sample: dict[str, Any]) -> tuple[str, str]:
    """Winner and loser, which indexes of older folders do not say."""
    if "winner" in sample and "loser" in sample:
        return sample["winner"], sample["loser"]
    row = read_row(tar, sample["members"])
    return row["winner"]["key"], row["loser"]["key"]


def reviewed(folder: ShardFolder) -> bytes:
    """The answers, those on a pair's place once more by the names of its candidates.

    To be kept before the pairs are made anew; b"" where there are none.
    """
    path, decisions = folder.path / REVIEW, Decisions(folder)
    if not path.is_file():
        return b""
    written = path.read_bytes()
    lines = [written[: written.rfind(b"\n") + 1]]
    for number in range(folder.shards):
        with suppress(ValueError):  # a shard that is damaged has no pairs that could be named
            for name in names_of(folder, number).values():
                if answer := decisions.answers.get(name.place):
                    said = {"pair": name.key, "winner": name.winner, "was": name.place}
                    lines.append(json.dumps(answer | said).encode() + b"\n")
    return b"".join(lines)


def carry_decisions(folder: ShardFolder) -> None:
    """`review.jsonl` as `reviewed` has it."""
    lines = reviewed(folder)
    if lines and lines != (folder.path / REVIEW).read_bytes():
        with atomic(folder.path / REVIEW) as file:
            file.write(lines)


@dataclass(frozen=True)
class _Pair:
    name: PairName
    tar: Path
    members: dict[str, Any]
    row: dict[str, Any]  # the pair's .json

    @property
    def suffix(self) -> str:
        return next(suffix for suffix in _MEDIA if f"winner.{suffix}" in self.members)


class ReviewSession:
    """All pairs of a folder in their order. Raises ValueError where there are none."""

    def __init__(self, shards: Path, rater: str) -> None:
        self.folder, self.rater = open_folder(shards), rater
        self.pairs = [pair for number in range(self.folder.shards) for pair in self._read(number)]
        if not self.pairs:
            raise ValueError(f"{shards} holds no pairs; lower the margin with sipo-data pair")

    def describe(self) -> dict[str, Any]:
        decisions = Decisions(self.folder)
        return {
            "mode": "decide",
            "title": "Keep the pair, flip winner and loser, or drop it?",
            "done": f"Training on {self.folder.path} now heeds what you said.",
            "tasks": [_task(pair, decisions.of(pair.name)) for pair in self.pairs],
        }

    def content(self, task: int, item: int) -> tuple[bytes, str]:
        pair = self.pairs[task]
        name = f"{('winner', 'loser')[item]}.{pair.suffix}"
        return read_fields(pair.tar, {name: pair.members[name]})[name], _MEDIA[pair.suffix]

    def answer(self, task: int, value: Any) -> None:
        if value not in DECISIONS:
            raise ValueError(f"answer {value!r} is no decision; give {', '.join(DECISIONS)}")
        name = self.pairs[task].name
        said = {"rater": self.rater, "pair": name.key, "winner": name.winner, "decision": value}
        append_answer(self.folder.path / REVIEW, said)

    def _read(self, number: int) -> Iterable[_Pair]:
        index, tar = self.folder.index(PAIRS, number), self.folder.tar(PAIRS, number)
        for key, name in names_of(self.folder, number).items():
            members = index["samples"][key]["members"]
            yield _Pair(name, tar, members, read_row(tar, members))


def _task(pair: _Pair, decision: Decision | None) -> dict[str, Any]:
    return {
        "prompt": pair.row["prompt"]["prompt"],
        "items": [_item(role, pair) for role in ("winner", "loser")],
        "answer": decision,
    }


def _item(role: str, pair: _Pair) -> dict[str, Any]:
    verdict = pair.row[role]["verdict"]
    note = f"{verdict['score']:.3f}, {verdict['reason'] or 'correct'}"
    return {"label": role, "note": note, "video": pair.suffix == "mp4"}
