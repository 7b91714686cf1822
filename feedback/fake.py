"""A judge without a network, for tests and for trying out a pipeline.

It reads no objects: the verdict is a function of the image's bytes and the prompt, spread evenly
over [0, 1], so that pairs form and everything downstream can be exercised in milliseconds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import in_words
from sipo.feedback.rule.verdict import Verdict, failed_verdict


class FakeJudge:
    """`fails_on` lists prompt texts for which the judge fails, to test what happens then."""

    def __init__(self, fails_on: Sequence[str] = ()) -> None:
        self.fails_on = frozenset(fails_on)

    def describe(self) -> dict[str, object]:
        return {"id": "fake"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return [self._one(image, p) for image, p in zip(images, prompts, strict=True)]

    def _one(self, image: Image.Image, prompt: Prompt) -> Verdict:
        if prompt.text in self.fails_on:
            return failed_verdict("asked to fail", self.describe())
        digest = hashlib.sha256(image.tobytes() + prompt.text.encode()).digest()
        score = int.from_bytes(digest[:4]) / 2**32
        correct = score > 0.5
        complaints = () if correct else in_words("the hash says so")
        return Verdict(score=score, correct=correct, complaints=complaints, judge=self.describe())


def load_fake(weights: str | Path | None, vocabulary: Sequence[str]) -> FakeJudge:
    return FakeJudge()
