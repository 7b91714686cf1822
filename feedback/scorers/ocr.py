"""Whether an image shows the texts that its prompt asks for, by reading it.

Which texts: feedback/prompts/asked_texts.py. The score: feedback/rule/written.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Protocol

from PIL import Image
from pydantic import Field

from sipo.feedback.judge_batches import Asked, judge_in_batches
from sipo.feedback.prompts.asked_texts import texts_of
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.feedback.rule.written import text_verdict
from sipo.feedback.scorers.ocr_reader import RapidReader

RULE = 1
"""Of the comparison: a judge that names it is another one when texts are compared otherwise."""
LEAST = 0.5  # RapidOCR's own


class Reader(Protocol):
    def describe(self) -> dict[str, object]: ...

    def lines(self, image: Image.Image) -> list[Box]:
        """What is written, line by line; the class of a box is what its line says."""
        ...


class OcrJudge:
    """An image is correct where every text occurs in it, whatever else does."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def describe(self) -> dict[str, object]:
        return {"id": "ocr", **self._reader.describe(), "rule": RULE}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_in_batches(self, self._judge_batch, images, prompts, 1)

    def _judge_batch(self, batch: Sequence[Asked], description: dict[str, object]) -> list[Verdict]:
        return [self._one(image, prompt, description) for image, prompt in batch]

    def _one(self, image: Image.Image, prompt: Prompt, description: dict[str, object]) -> Verdict:
        if asked := texts_of(prompt):
            return text_verdict(asked, self._reader.lines(image), description)
        return failed_verdict("the prompt asks for no text: none in double quotes", description)


def load_ocr(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    least: Annotated[float, Field(ge=0, le=1)] = LEAST,
) -> OcrJudge:
    """Its models come with its library; other weights are refused."""
    if weights is not None:
        raise ValueError(
            f"judge 'ocr' reads with the models of its library, not with {str(weights)!r}; leave "
            "the weights out"
        )
    return OcrJudge(RapidReader(least))
