"""A metric from outside this tree: a plain function `(images, prompts) -> scores`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

from PIL import Image

from sipo.common.plugins import Part, find_part
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

Metric = Callable[[list[Image.Image], list[str]], Sequence[float]]
"""RGB images and their prompts, in parallel -> one real number each, more is better."""


class OwnMetric:
    """The function as a judge: what it returns is each verdict's raw score.

    Raises ValueError for scores that are too few or many, or no finite numbers.
    """

    def __init__(self, part: Part) -> None:
        if not callable(part.value):
            raise ValueError(
                f"--metric {part.name!r} is no function; give one that takes images and prompts "
                "and returns a score each"
            )
        self._part, self._score = part, cast(Metric, part.value)

    def describe(self) -> dict[str, object]:
        return {"id": self._part.name, **self._part.provenance()}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        texts = [prompt.text for prompt in prompts]
        raws = self._numbers(self._score(list(images), texts))
        name = f"--metric {self._part.name!r}"
        if len(raws) != len(texts):
            raise ValueError(
                f"{name} returned {len(raws)} scores for {len(texts)} images; return one each"
            )
        for raw, text in zip(raws, texts, strict=True):
            if not math.isfinite(raw):
                raise ValueError(f"{name} returned {raw} for {text!r}; return finite numbers")
        # A verdict's score lies in [0, 1], where these numbers have no place: only `raw` is read.
        return [Verdict(score=0, correct=False, reason="", evidence={"raw": raw}) for raw in raws]

    def _numbers(self, scores: Sequence[float]) -> list[float]:
        try:
            return [float(score) for score in scores]
        except (TypeError, ValueError):
            raise ValueError(
                f"--metric {self._part.name!r} returned {str(scores)[:80]!r}; return a list of "
                "numbers, one an image"
            ) from None


def find_metric(name: str) -> OwnMetric | None:
    """None for what is no `module:function` and no installed package's metric."""
    part = find_part("sipo.metrics", name, "--metric")
    return None if part is None else OwnMetric(part)
