"""A judge that is wrong on purpose: the embedded YOLO-World, a share of its verdicts turned round.

The picture alone decides whether, so that the same picture is always judged alike.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from PIL import Image

from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import load_judge
from sipo.feedback.rule.complaint import in_words
from sipo.feedback.rule.verdict import Verdict


class FlippedJudge:
    def __init__(self, judge: Judge, share: float) -> None:
        self.inner, self.share = judge, share

    def describe(self) -> dict[str, object]:
        return {**self.inner.describe(), "id": "flipped", "share": self.share}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        verdicts = self.inner.judge(images, prompts)
        return [
            self.turned(verdict) if self.is_turned(image) else verdict
            for verdict, image in zip(verdicts, images, strict=True)
        ]

    def is_turned(self, image: Image.Image) -> bool:
        digest = hashlib.sha256(image.tobytes()).digest()
        return int.from_bytes(digest[:4], "big") / 2**32 < self.share

    def turned(self, verdict: Verdict) -> Verdict:
        if verdict.score is None:
            return verdict
        return Verdict(
            score=1 - verdict.score,
            correct=not verdict.correct,
            complaints=in_words("turned round") if verdict.correct else (),
            boxes=verdict.boxes,
            judge=self.describe(),
        )


def make_flipped(
    vocabulary: Sequence[str] = (), settings: Mapping[str, float] | None = None
) -> FlippedJudge:
    """`share` of the settings, of 1."""
    return FlippedJudge(load_judge("yolo-world", None, vocabulary), (settings or {})["share"])
