"""Judging batch by batch, so that one bad image costs no other its verdict.

What an image can cause is that image's failed verdict. What it cannot cause (a mistake in a judge,
a device that fails) ends the command with its own traceback, and so does, as a sentence, what
befalls every image of the first call alike: a night of sampling would end with no verdict at all.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol, cast
from weakref import WeakKeyDictionary, WeakSet

from PIL import Image

from sipo.common.fitting_batches import in_fitting_batches
from sipo.common.pictures.picture import Clip, Picture, fault_in
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict, failed_verdict

if TYPE_CHECKING:
    from sipo.feedback.judge import Judge

Asked = tuple[Image.Image, Prompt]
JudgeBatch = Callable[[Sequence[Asked], dict[str, object]], list[Verdict]]
"""(images with their prompts, what the judge says of itself) -> a verdict each."""

IMAGE_FAULTS = (
    *(ValueError, OSError, ArithmeticError),  # no pixels; cut short; scores that are not finite
    *(EOFError, SyntaxError, struct.error, zlib.error, Image.DecompressionBombError),  # PIL's
)
"""What a damaged image makes PIL, numpy and our judges raise."""

FIRST = 4  # images in calls of one


class JudgesMistakeError(ValueError):
    """What a judge that was handed in does wrong, whatever the image: ends the command."""


class Describes(Protocol):
    def describe(self) -> dict[str, object]: ...


_has_judged: WeakSet[Describes] = WeakSet()
_failed_so_far: WeakKeyDictionary[Describes, list[str]] = WeakKeyDictionary()
"""The judges that have given a score, and the causes of those that never have."""


def judge_in_batches(
    judge: Describes,
    judge_batch: JudgeBatch,
    images: Sequence[Image.Image],
    prompts: Sequence[Prompt],
    size: int,
) -> list[Verdict]:
    """One verdict an image, in order, `size` at a time or, where memory runs out, half as many. A
    batch that fails is looked at image by image.

    Raises ValueError where `judge` has given no score yet and fails on all images of a call, or on
    FIRST of as many calls, for one and the same cause.
    """
    if len(images) != len(prompts):
        raise ValueError(f"{len(images)} images for {len(prompts)} prompts; give one prompt each")
    description = judge.describe()
    asked = list(zip(images, prompts, strict=True))
    verdicts = in_fitting_batches(
        judge,
        lambda batch: _judge(judge_batch, batch, description),
        asked,
        f"judging by {description.get('id', '?')!r}",
        "one image",
        "set its device to 'cpu', or free the GPU",
        size,
    )
    if judge not in _has_judged:
        _refuse_all_alike(judge, verdicts, description)
    return verdicts


def judge_sound(
    judge: Judge, pictures: Sequence[Picture], prompts: Sequence[Prompt]
) -> list[Verdict]:
    """The judge's verdicts, in order; a picture that shows nothing is a failure with its cause.

    The one way to judge what was sampled. The judge of clips is of `judge_for`.
    """
    faults = [fault_in(picture) for picture in pictures]
    asked = [
        pair
        for pair, fault in zip(zip(pictures, prompts, strict=True), faults, strict=True)
        if fault is None
    ]
    images = cast("list[Image.Image]", [picture for picture, _ in asked])
    verdicts = iter(judge.judge(images, [prompt for _, prompt in asked]) if asked else ())
    return [next(verdicts) if f is None else failed_verdict(f, judge.describe()) for f in faults]


def _judge(
    judge_batch: JudgeBatch, batch: Sequence[Asked], description: dict[str, object]
) -> Sequence[Verdict]:
    try:
        for image, _ in batch:
            require_pixels(image)
        verdicts = judge_batch(batch, description)
    except IMAGE_FAULTS as error:
        _raise_what_no_image_causes(error)
        if len(batch) > 1:
            return [verdict for one in batch for verdict in _judge(judge_batch, [one], description)]
        return [failed_verdict(f"{type(error).__name__}: {error}", description)]
    assert len(verdicts) == len(batch), f"{len(verdicts)} verdicts of {len(batch)} images"
    return verdicts


def _raise_what_no_image_causes(error: BaseException) -> None:
    """A full disk, a path: images are in memory, so their errors have no number."""
    numbered = isinstance(error, OSError) and error.errno is not None
    if numbered or isinstance(error, JudgesMistakeError):
        raise error


def _refuse_all_alike(
    judge: Describes, verdicts: Sequence[Verdict], description: dict[str, object]
) -> None:
    causes = [verdict.failure for verdict in verdicts if verdict.failure is not None]
    if len(causes) < len(verdicts):
        _has_judged.add(judge)
        return
    so_far = _failed_so_far.setdefault(judge, [])
    so_far += causes
    if len(set(so_far)) == 1 and (len(causes) > 1 or len(so_far) >= FIRST):
        raise ValueError(
            f"judge {description.get('id', '?')!r} failed on all of its first {len(so_far)} "
            f"images: {so_far[0]}; look at its weights and at the images before going on"
        )


def require_pixels(picture: Picture) -> None:
    """Raises ValueError for an image without, also as a clip's frame, and for a clip of none."""
    frames = picture.frames if isinstance(picture, Clip) else (picture,)
    if not frames:
        raise ValueError("the clip has no frames")
    for image in frames:
        if not image.width or not image.height:
            raise ValueError(f"the image has no pixels ({image.width}x{image.height})")
