"""What every detecting judge shares: from images to boxes to verdicts, failures kept apart.

B images, S pixels a side. A detector says how it sees one batch; the rest is here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sipo.feedback.detectors.color import ColorNamer, Mask, Sight
from sipo.feedback.judge_batches import Asked, judge_in_batches, require_pixels
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.rule.boxes import Box, sureness
from sipo.feedback.rule.verdict import Verdict, decide, failed_verdict, most_of_a_class

BATCH = 32
PAD_GREY = 114  # what YOLO pads with


class Look(NamedTuple):
    """Which boxes of a class the rule looks at: with a score of `least`, the `most` surest."""

    least: float
    most: float


EVERY, NONE = Look(-math.inf, math.inf), Look(math.inf, 0)

Colored = Sequence[Mapping[str, Look]]
"""An image: the classes whose colour is asked, and of which of their boxes."""


class Detector(Protocol):
    """Finds objects. `vocabulary` and `thresholds` (tag -> least score) hold for all it does."""

    @property
    def vocabulary(self) -> tuple[str, ...]: ...

    @property
    def thresholds(self) -> Mapping[str, float]: ...

    def describe(self) -> dict[str, object]: ...

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        """The boxes of a batch scored `floor` or more, in each image's own pixels.

        Only the boxes in `colored` need a colour: to name one may cost more than to find the box.
        Without `colored` all have one.
        Raises FloatingPointError when what comes out is not finite.
        """
        ...


def judge_all(
    detector: Detector, images: Sequence[Image.Image], prompts: Sequence[Prompt]
) -> list[Verdict]:
    """One verdict an image, by its boxes and the official rule.

    Raises ValueError for plain text.
    """
    for prompt in prompts:
        if not prompt.include:
            raise ValueError(
                f"{prompt.text[:80]!r} is plain text, which a detector cannot check; give tag and "
                "include, or another judge"
            )
    return judge_in_batches(
        detector,
        lambda batch, description: _judge_batch(detector, batch, description),
        images,
        prompts,
        BATCH,
    )


def looks_of(prompt: Prompt, least: float) -> dict[str, Look]:
    """The boxes whose colour the rule asks for this prompt."""
    return {name: Look(least, most_of_a_class(prompt, name)) for name in prompt.colored}


def looked_at(boxes: Sequence[Box], colored: Mapping[str, Look] | None) -> list[int]:
    """The places of the boxes whose colour is asked (None: of all) and not known."""
    seen: Counter[str] = Counter()
    places = []
    for place in sorted(range(len(boxes)), key=lambda place: sureness(boxes[place])):
        box = boxes[place]
        look = EVERY if colored is None else colored.get(box.class_name, NONE)
        seen[box.class_name] += 1
        if box.score >= look.least and seen[box.class_name] <= look.most and box.color is None:
            places.append(place)
    return places


def with_colors(
    namer: ColorNamer,
    images: Sequence[Image.Image],
    found: Sequence[Sequence[Box]],
    colored: Colored | None,
    masks: Sequence[Mapping[int, Mask]] | None = None,
) -> list[list[Box]]:
    """The boxes of a batch with the colours that are asked, all named in one call.

    `masks`: an image, by the places of its boxes.
    """
    named = [list(boxes) for boxes in found]
    places = [
        (number, place)
        for number, boxes in enumerate(found)
        for place in looked_at(boxes, colored[number] if colored is not None else None)
    ]
    seen = [Sight(images[n], found[n][p], masks[n][p] if masks else None) for n, p in places]
    for (number, place), color in zip(places, namer.names(seen), strict=True):
        named[number][place] = replace(found[number][place], color=color)
    return named


def checked_thresholds(thresholds: Mapping[str, float]) -> Mapping[str, float]:
    """One a tag, of [0, 1]. Raises ValueError for a tag without, and for what is no tag."""
    if missing := [tag for tag in TAGS if tag not in thresholds]:
        raise ValueError(f"thresholds lack {', '.join(missing)}; give one for every tag")
    for tag, threshold in thresholds.items():
        if tag not in TAGS:
            raise ValueError(
                f"thresholds for {tag!r}, which is no tag; known are {', '.join(TAGS)}"
            )
        if not 0 <= threshold <= 1:
            raise ValueError(f"threshold {threshold:g} of {tag!r} must lie in [0, 1], as scores do")
    return dict(thresholds)


def checked_iou(nms_iou: float) -> float:
    """Raises ValueError for a share that no two boxes can have."""
    if not 0 < nms_iou <= 1:
        raise ValueError(f"nms_iou={nms_iou:g} must lie in (0, 1]")
    return nms_iou


def letterbox(images: Sequence[Image.Image], side_px: int) -> tuple[Tensor, list[float]]:
    """(B, 3, S, S) RGB in [0, 1] and each image's scale; images keep their shape, padded at the
    right and at the bottom, so a box in its own pixels is the network's box over the scale."""
    stacked = np.full((len(images), side_px, side_px, 3), PAD_GREY, np.uint8)
    scales = []
    for row, image in zip(stacked, images, strict=True):
        require_pixels(image)
        scale = side_px / max(image.size)
        width, height = (max(1, round(side * scale)) for side in image.size)
        resized = image.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        row[:height, :width] = np.asarray(resized)
        scales.append(scale)
    return torch.from_numpy(stacked).permute(0, 3, 1, 2).float() / 255, scales


def in_image(xyxy: Sequence[float], scale: float, image: Image.Image) -> tuple[float, ...]:
    """The network's box in the image's own pixels, clipped to it."""
    sides = (image.width, image.height) * 2
    return tuple(min(max(v / scale, 0.0), float(m)) for v, m in zip(xyxy, sides, strict=True))


def _judge_batch(
    detector: Detector, batch: Sequence[Asked], description: dict[str, object]
) -> list[Verdict]:
    floor = min(detector.thresholds.values())
    colored = [looks_of(prompt, detector.thresholds[prompt.tag]) for _, prompt in batch]
    found = detector.detect([image for image, _ in batch], floor, colored)
    if not all(
        math.isfinite(v) for boxes in found for box in boxes for v in (*box.xyxy, box.score)
    ):
        raise FloatingPointError("a box of the detector is not finite")
    return [
        _judge_boxes(detector, prompt, boxes, description)
        for (_, prompt), boxes in zip(batch, found, strict=True)
    ]


def _judge_boxes(
    detector: Detector, prompt: Prompt, boxes: Sequence[Box], description: dict[str, object]
) -> Verdict:
    if strange := sorted(set(prompt.classes) - set(detector.vocabulary)):
        return failed_verdict(f"class {strange[0]!r} is not in the judge's vocabulary", description)
    sure = (box for box in boxes if box.score >= detector.thresholds[prompt.tag])
    return decide(prompt, sure, description)
