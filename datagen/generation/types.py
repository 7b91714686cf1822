"""What flows through `sample -> judge -> pair`: requests, candidates, pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from sipo.backbones.seeds import image_seed
from sipo.datagen.storage.sample_json import CandidateJson
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from sipo.common.pictures.picture import Picture

_KEY = "cand-"


@dataclass(frozen=True)
class Request:
    """One candidate to be sampled. `prompt_number` counts prompts, `index` those of a prompt."""

    prompt: Prompt
    prompt_number: int
    index: int
    number: int
    seed: int

    @property
    def key(self) -> str:
        return f"{_KEY}{self.number:08d}"


@dataclass(frozen=True)
class Candidate:
    """An image or clip, its clean latents (C, H, W) or (C, F, H, W) float32, and how they came to
    be."""

    request: Request
    picture: Picture
    latents: Tensor
    verdict: Verdict | None = None

    @property
    def judged(self) -> Judged:
        assert self.verdict is not None, "candidates are judged before they are kept"
        return Judged(self.request, self.verdict)


T = TypeVar("T")


@dataclass(frozen=True)
class Batch(Generic[T]):
    """Requests that are sampled together or the candidates they became; `last` ends its shard."""

    shard: int
    items: Sequence[T]
    last: bool


Right = tuple[int, bool | None]
"""A prompt's number and whether a candidate of it is right, None where that could not be judged."""


@dataclass(frozen=True)
class Judged:
    """What pairing needs to know of a candidate: no pixels."""

    request: Request
    verdict: Verdict

    @classmethod
    def of(cls, row: CandidateJson, key: str) -> Judged:
        """From a candidate's `.json` and its key in the tar."""
        request = Request(row.prompt, row.prompt_number, row.candidate, number_of(key), row.seed)
        return cls(request, row.verdict)

    @property
    def right(self) -> Right:
        verdict = self.verdict
        return self.request.prompt_number, None if verdict.failed else verdict.correct

    def row(self) -> CandidateJson:
        """Its `.json`."""
        asked = self.request
        return CandidateJson(
            prompt=asked.prompt,
            prompt_number=asked.prompt_number,
            candidate=asked.index,
            seed=asked.seed,
            verdict=self.verdict,
        )


@dataclass(frozen=True)
class Kept:
    """A judged candidate as its shard keeps it: picture and latents as files, by their suffix."""

    judged: Judged
    files: Mapping[str, bytes]


@dataclass(frozen=True)
class Pair:
    """`winner` and `loser` are candidates of one prompt; `margin` is the difference of scores."""

    winner: Judged
    loser: Judged
    margin: float

    @property
    def sides(self) -> dict[str, Judged]:
        return {"winner": self.winner, "loser": self.loser}


def requests(
    prompts: Iterable[tuple[int, Prompt]], candidates: int, seed: int
) -> Iterator[Request]:
    """`candidates` requests for each numbered prompt, in order."""
    for number, prompt in prompts:
        yield from requests_for(number, prompt, range(candidates), seed, candidates)


def requests_for(
    prompt_number: int, prompt: Prompt, indices: Iterable[int], seed: int, keys_per_prompt: int
) -> Iterator[Request]:
    """These candidates of one prompt, which has so many keys for itself."""
    for index in indices:
        yield Request(
            prompt=prompt,
            prompt_number=prompt_number,
            index=index,
            number=prompt_number * keys_per_prompt + index,
            seed=image_seed(seed, prompt.key, index),
        )


def number_of(key: str) -> int:
    """Of the candidate with this key in a tar."""
    return int(key.removeprefix(_KEY))
