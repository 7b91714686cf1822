"""Preference scorers as judges: a raw score an image, put into [0, 1] by a stated rule.

The raw score stays in the verdict's evidence; means of it are what tables report.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Protocol

from PIL import Image
from torch import Tensor, nn

from sipo.feedback.judge_batches import Asked, judge_in_batches
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict, failed_verdict

BATCH = 16


@dataclass(frozen=True)
class Rating:
    """A raw score, and what else stands in the verdict's evidence; or why there is none."""

    raw: float
    more: Mapping[str, object] = field(default_factory=dict)
    failure: str | None = None


Scores = Sequence[float | Rating]


class Scorer(Protocol):
    def describe(self) -> dict[str, object]: ...

    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> Scores:
        """One raw score an image, in the scorer's own unit."""
        ...


@dataclass(frozen=True)
class SigmoidScale:
    """The chance to be preferred to an image that scores `center`: sigmoid(slope (raw - center)).

    Bradley & Terry 1952, with the slope of the loss the scorer was trained with, so that a
    difference of two scores means what it meant there. Never ties what the raw scores part.
    """

    rule: ClassVar[str] = "Preferred"  # as folders name it
    center: float
    slope: float

    def unit(self, raw: float) -> float:
        return 0.5 * (1 + math.tanh(0.5 * self.slope * (raw - self.center)))


@dataclass(frozen=True)
class LinearScale:
    """A rating between `low` and `high`, linearly; what lies outside is clamped."""

    rule: ClassVar[str] = "Rating"
    center: float
    low: float
    high: float

    def unit(self, raw: float) -> float:
        return min(1.0, max(0.0, (raw - self.low) / (self.high - self.low)))


Scale = SigmoidScale | LinearScale


class ScorerJudge:
    """An image is called correct where its raw score reaches the scale's centre: a convention,

    since scorers know no right and wrong. What counts for pairs is `score`.
    """

    def __init__(self, scorer: Scorer, scale: Scale, batch: int = BATCH) -> None:
        self.scorer = scorer
        self.scale = scale
        self._batch = batch

    def describe(self) -> dict[str, object]:
        scale = {"rule": self.scale.rule, **asdict(self.scale)}
        return {**self.scorer.describe(), "scale": scale}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_in_batches(self, self._judge_batch, images, prompts, self._batch)

    def _judge_batch(self, batch: Sequence[Asked], description: dict[str, object]) -> list[Verdict]:
        scores = self.scorer.score([image for image, _ in batch], [p.text for _, p in batch])
        ratings = [one if isinstance(one, Rating) else Rating(one) for one in scores]
        if not all(math.isfinite(one.raw) for one in ratings if one.failure is None):
            raise FloatingPointError("the score is not finite")
        assert len(ratings) == len(batch), f"{len(ratings)} scores of {len(batch)} images"
        return [self._verdict(one, description) for one in ratings]

    def _verdict(self, rating: Rating, description: dict[str, object]) -> Verdict:
        if rating.failure is not None:
            failed = failed_verdict(rating.failure, description)
            return failed.model_copy(update={"evidence": dict(rating.more)})
        correct = rating.raw >= self.scale.center
        complaint = Complaint(str(description["id"]), "score", self.scale.center, rating.raw)
        return Verdict(
            score=self.scale.unit(rating.raw),
            correct=correct,
            complaints=() if correct else (complaint,),
            judge=description,
            evidence={"raw": rating.raw, **rating.more},
        )


class LinearHead(nn.Module):
    """(B, width) -> (B,): 1024, 128, 64, 16, 1 without activations, as published.

    Source: christophschuhmann/improved-aesthetic-predictor, `simple_inference.py`; ImageReward's
    head is the same. The numbers are those of its layers there; between them stood dropout.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = (width, 1024, 128, 64, 16, 1)
        names = ("0", "2", "4", "6", "7")
        self.layers = nn.ModuleDict(
            {name: nn.Linear(i, o) for name, i, o in zip(names, sizes, sizes[1:], strict=False)}
        )

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers.values():
            x = layer(x)
        return x.squeeze(-1)
