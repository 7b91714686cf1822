"""What flows through `sample -> judge -> pair`: requests, candidates, pairs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sipo.backbones.seeds import image_seed
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from torch import Tensor

    from sipo.common.pictures.picture import Picture


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
        return f"cand-{self.number:08d}"


@dataclass(frozen=True)
class Candidate:
    """An image or clip, its clean latents (C, H, W) or (C, F, H, W) float32, and how they came to
    be."""

    request: Request
    picture: Picture
    latents: Tensor
    verdict: Verdict | None = None


@dataclass(frozen=True)
class Judged:
    """What pairing needs to know of a candidate: no pixels."""

    request: Request
    verdict: Verdict

    @classmethod
    def from_row(cls, row: dict[str, Any], number: int) -> Judged:
        """From a candidate's `.json`, the inverse of `row_of`."""
        request = Request(
            prompt=Prompt.model_validate(row["prompt"]),
            prompt_number=row["prompt_number"],
            index=row["candidate"],
            number=number,
            seed=row["seed"],
        )
        return cls(request, Verdict.model_validate(row["verdict"]))


@dataclass(frozen=True)
class Pair:
    """`winner` and `loser` are candidates of one prompt; `margin` is the difference of scores."""

    winner: Judged
    loser: Judged
    margin: float


def row_of(judged: Judged) -> dict[str, Any]:
    """A candidate's `.json`."""
    request = judged.request
    return {
        "prompt": request.prompt.to_row(),
        "prompt_number": request.prompt_number,
        "candidate": request.index,
        "seed": request.seed,
        "verdict": judged.verdict.model_dump(mode="json"),
    }


def requests(
    prompts: Iterable[tuple[int, Prompt]], candidates: int, seed: int
) -> Iterator[Request]:
    """`candidates` requests for each numbered prompt, in order."""
    for prompt_number, prompt in prompts:
        for index in range(candidates):
            yield Request(
                prompt=prompt,
                prompt_number=prompt_number,
                index=index,
                number=prompt_number * candidates + index,
                seed=image_seed(seed, prompt.text, index),
            )
