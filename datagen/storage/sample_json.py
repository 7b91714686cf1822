"""The `.json` of a sample in a tar: what a candidate was sampled for, what a pair is of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sipo.common.files.strict_json import load_json
from sipo.common.files.urls import read_ranges
from sipo.common.files.writing import to_json
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import Members, Place
from sipo.datagen.storage.untrusted_json import Count, Lenient, Model, Share
from sipo.feedback.prompts.prompt import Prompt, parts_of
from sipo.feedback.rule.verdict import Verdict

_DAMAGED = "was changed or is damaged; see sipo-data validate"


class SampledJson(Lenient):
    seed: Count


class CandidateJson(SampledJson):
    prompt: Prompt
    prompt_number: Count
    candidate: Count  # of its prompt
    verdict: Verdict

    def to_bytes(self) -> bytes:
        row = {
            "prompt": self.prompt.to_row(),
            "prompt_number": self.prompt_number,
            "candidate": self.candidate,
            "seed": self.seed,
            "verdict": self.verdict.model_dump(mode="json"),
        }
        return to_json(row)

    def facts(self) -> dict[str, object]:
        """What the index says of it."""
        return {
            "prompt": self.prompt_number,
            "tag": self.prompt.tag,
            "score": self.verdict.score,
            "correct": self.verdict.correct,
            "failure": self.verdict.failure,
        }


class PairPrompt(Lenient):
    text: Annotated[str, Field(alias="prompt")]
    tag: str
    before: str | None = None  # the hash of an edit's picture

    @property
    def parts(self) -> tuple[str, ...]:
        return parts_of(self.text, self.before)


class SideVerdict(Lenient):
    """As far as it is shown: the folder's judge may be of another version."""

    score: Share
    reason: str


class PairSide(Lenient):
    key: str  # of the candidate
    verdict: SideVerdict


class PairJson(Lenient):
    prompt: PairPrompt
    winner: PairSide
    loser: PairSide
    margin: Share

    @property
    def sides(self) -> dict[str, PairSide]:
        return {"winner": self.winner, "loser": self.loser}

    def facts(self) -> dict[str, object]:
        """What the index says of it, and of older folders a part."""
        keys = {role: side.key for role, side in self.sides.items()}
        return {"tag": self.prompt.tag, "margin": self.margin, **keys}


def candidate_rows(folder: ShardFolder, number: int) -> Iterator[tuple[str, CandidateJson]]:
    """(key, row) of the candidates of a shard, in order."""
    tar, samples = folder.tar(CANDIDATES, number), folder.candidates(number).samples
    texts = read_ranges(tar, [_json_of(tar, facts.members) for facts in samples.values()])
    for key, text in zip(samples, texts, strict=True):
        yield key, row_of(tar, text, CandidateJson)


def read_row(tar: Path, members: Members, model: type[Model]) -> Model:
    """A sample's `.json`. Raises ValueError where the tar has another thing in its place."""
    return row_of(tar, read_ranges(tar, [_json_of(tar, members)])[0], model)


def row_of(tar: Path, text: bytes, model: type[Model]) -> Model:
    """As `read_row`, of what was read."""
    try:
        return model.model_validate(load_json(text))
    except (ValueError, RecursionError):
        raise ValueError(f"{tar} {_DAMAGED}") from None


def _json_of(tar: Path, members: Members) -> Place:
    if "json" not in members:
        raise ValueError(f"{tar} {_DAMAGED}")
    return members["json"]
