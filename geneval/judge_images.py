"""From images or clips on disk to verdicts.

What cannot be judged is kept apart, never counted as wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import cast

from sipo.common.ordered_threads import in_order, threads_for
from sipo.common.pictures.picture import Picture, read_clip, read_image
from sipo.common.pictures.sharpness import sharpness
from sipo.feedback.judge import Judge
from sipo.feedback.judge_batches import judge_sound
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.geneval.layout import is_clip


@dataclass(frozen=True)
class Opened:
    """A picture with its sharpness, or why there is none."""

    picture: Picture | Verdict
    sharpness: float | None = None


@dataclass(frozen=True)
class Judged:
    """`sharpness` is None where the verdict failed for want of a picture."""

    verdict: Verdict
    sharpness: float | None


def judge_images(
    judge: Judge, paths: Sequence[Path], prompts: Sequence[Prompt], batch_size: int
) -> Iterator[Judged]:
    """One a path, in order; a file that is no image, or one whose pixels were not finite, is a
    failed verdict.

    The next batch is read while one is judged. The judge of clips is of `judge_for`.
    """
    asked = iter(prompts)
    with closing(in_order(_open, paths, threads_for(), batch_size)) as images:
        while batch := list(islice(images, batch_size)):
            pictures = [opened.picture for opened in batch]
            verdicts = _judge_batch(judge, pictures, list(islice(asked, len(batch))))
            yield from map(Judged, verdicts, [opened.sharpness for opened in batch])


def _judge_batch(
    judge: Judge, images: Sequence[Picture | Verdict], prompts: Sequence[Prompt]
) -> list[Verdict]:
    readable = [number for number, image in enumerate(images) if not isinstance(image, Verdict)]
    pictures = [cast(Picture, images[number]) for number in readable]
    judged = judge_sound(judge, pictures, [prompts[number] for number in readable])
    by_number = dict(zip(readable, judged, strict=True))
    return [
        image if isinstance(image, Verdict) else by_number[number]
        for number, image in enumerate(images)
    ]


def _open(path: Path) -> Opened:
    try:
        picture = read_clip(path.read_bytes()) if is_clip(path) else read_image(path)
    except ValueError as error:
        return Opened(failed_verdict(str(error), {}))
    return Opened(picture, sharpness(picture))
