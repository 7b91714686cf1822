"""A metric from outside this tree: a plain function `(images, prompts) -> scores`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

from PIL import Image

from sipo.common.plugins import Part, find_part
from sipo.feedback.own_judge import is_score_function
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

Metric = Callable[[list[Image.Image], list[Prompt]], Sequence[float]]
"""RGB images and their prompts, in parallel -> one real number each, more is better."""


class OwnMetric:
    """The function as a judge: what it returns is each verdict's raw score.

    Raises ValueError for scores that are too few or many, or no finite numbers.
    """

    def __init__(self, part: Part) -> None:
        self._part, self._score = part, cast(Metric, part.value)

    def describe(self) -> dict[str, object]:
        return {"id": self._part.name, **self._part.provenance()}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        raws = self._numbers(self._score(list(images), list(prompts)))
        name = f"--metric {self._part.name!r}"
        if len(raws) != len(prompts):
            raise ValueError(
                f"{name} returned {len(raws)} scores for {len(prompts)} images; return one each"
            )
        for raw, prompt in zip(raws, prompts, strict=True):
            if not math.isfinite(raw):
                raise ValueError(
                    f"{name} returned {raw} for {prompt.text!r}; return finite numbers"
                )
        # A verdict's score lies in [0, 1], where these numbers have no place: only `raw` is read.
        return [Verdict(score=0, correct=False, evidence={"raw": raw}) for raw in raws]

    def _numbers(self, scores: Sequence[float]) -> list[float]:
        try:
            return [float(score) for score in scores]
        except (TypeError, ValueError):
            raise ValueError(
                f"--metric {self._part.name!r} returned {str(scores)[:80]!r}; return a list of "
                "numbers, one an image"
            ) from None


def find_metric(name: str) -> OwnMetric | None:
    """None for what is no plain function: a judge of one's own, or nothing from outside."""
    part = find_part("sipo.metrics", name, "--metric")
    return OwnMetric(part) if part and is_score_function(part.value) else None
