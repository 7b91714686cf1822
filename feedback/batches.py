"""Judging batch by batch, so that one bad image costs no other its verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from PIL import Image

from sipo.feedback.picture import Picture, fault_in
from sipo.feedback.prompt import Prompt
from sipo.feedback.verdict import Verdict, failed_verdict

if TYPE_CHECKING:
    from sipo.feedback.judge import Judge

Asked = tuple[Image.Image, Prompt]


def judge_in_batches(
    judge_batch: Callable[[Sequence[Asked]], list[Verdict]],
    images: Sequence[Image.Image],
    prompts: Sequence[Prompt],
    about: dict[str, Any],
    size: int,
) -> list[Verdict]:
    """One verdict an image, in order. A batch that fails is looked at image by image."""
    if len(images) != len(prompts):
        raise ValueError(f"{len(images)} images for {len(prompts)} prompts; give one prompt each")
    asked = list(zip(images, prompts, strict=True))
    verdicts: list[Verdict] = []
    for start in range(0, len(asked), size):
        batch = asked[start : start + size]
        try:
            verdicts += judge_batch(batch)
        except Exception:
            verdicts += [_judge_alone(judge_batch, one, about) for one in batch]
    return verdicts


def judge_sound(
    judge: Judge, pictures: Sequence[Picture], prompts: Sequence[Prompt]
) -> list[Verdict]:
    """The judge's verdicts, in order; a picture that shows nothing is a failure with its cause.

    The one way to judge what was sampled. The judge of clips is a FrameJudge.
    """
    faults = [fault_in(picture) for picture in pictures]
    asked = [
        pair
        for pair, fault in zip(zip(pictures, prompts, strict=True), faults, strict=True)
        if fault is None
    ]
    said = iter(
        judge.judge(cast(Any, [p for p, _ in asked]), [q for _, q in asked]) if asked else ()
    )
    return [next(said) if f is None else failed_verdict(f, judge.describe()) for f in faults]


def _judge_alone(
    judge_batch: Callable[[Sequence[Asked]], list[Verdict]], one: Asked, about: dict[str, Any]
) -> Verdict:
    try:
        return judge_batch([one])[0]
    except Exception as error:
        return failed_verdict(f"{type(error).__name__}: {error}", about)
