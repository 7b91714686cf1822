"""The colour of a detected object by CLIP ViT-L/14, the way GenEval asks it.

Source: djghosh13/geneval, `evaluation/evaluate_images.py`, `color_classification`: three templates
a colour, the mean of their unit embeddings, the colour nearest to the crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from PIL import Image
from torch import Tensor

from sipo.common.devices import judge_device
from sipo.feedback.detectors.color import ColorNamer, PixelColor, Sight
from sipo.feedback.prompts.prompt import COLORS
from sipo.feedback.published_weights import VIT_L
from sipo.feedback.scorers.clip import Clip, load_clip, require_quick_gelu

TEMPLATES = (
    "a photo of a {c} {name}",
    "a photo of a {c}-colored {name}",
    "a photo of a {c} object",
)
MASKED = "#999"
"""What official crops have where the object's mask has nothing."""
BATCH = 64  # crops at a time, of however many images: 224 px each

ColorName = Literal["pixels", "clip"]


class ClipColor:
    def __init__(self, clip: Clip, description: dict[str, object]) -> None:
        self._clip = clip
        self._description = description
        self._texts = cache(self._color_texts)  # one object's classes come again and again

    def describe(self) -> dict[str, object]:
        return {"id": "clip", **self._description}

    def names(self, seen: Sequence[Sight], colors: Sequence[str] = COLORS) -> list[str | None]:
        """Of `colors`; None for a box without pixels. It never says that it cannot tell."""
        named: list[str | None] = []
        for start in range(0, len(seen), BATCH):
            named += self._names(seen[start : start + BATCH], tuple(colors))
        return named

    def _names(self, seen: Sequence[Sight], colors: tuple[str, ...]) -> list[str | None]:
        crops = {place: crop for place, one in enumerate(seen) if (crop := _crop(one)) is not None}
        named: list[str | None] = [None] * len(seen)
        if crops:
            nearest = self._nearest(list(crops.values()), [seen[n] for n in crops], colors)
            for place, color in zip(crops, nearest, strict=True):
                named[place] = colors[color]
        return named

    def _nearest(
        self, crops: Sequence[Image.Image], seen: Sequence[Sight], colors: tuple[str, ...]
    ) -> list[int]:
        """Per crop the place of its colour. All are looked at together."""
        texts = torch.stack([self._texts(one.box.class_name, colors) for one in seen])
        return (texts @ self._clip.images(crops)[..., None])[..., 0].argmax(-1).tolist()

    def _color_texts(self, name: str, colors: tuple[str, ...]) -> Tensor:
        """(colours, D) unit means over the templates."""
        texts = [template.format(c=c, name=name) for c in colors for template in TEMPLATES]
        rows = self._clip.texts(texts).reshape(len(colors), len(TEMPLATES), -1)
        return torch.nn.functional.normalize(rows.mean(1), dim=-1)


def _crop(seen: Sight) -> Image.Image | None:
    crop = seen.image.crop(seen.box.xyxy).convert("RGB")  # PIL rounds it
    if not crop.width or not crop.height:
        return None
    if seen.mask is None:
        return crop
    stencil = Image.fromarray(seen.mask).crop(seen.box.xyxy)
    return Image.composite(crop, Image.new("RGB", crop.size, MASKED), stencil)


def load_color(name: ColorName, weights: str | Path = VIT_L, device: str = "auto") -> ColorNamer:
    """By "pixels" (no weights) or by "clip", which needs OpenAI's ViT-L/14 by folder or hub id."""
    if name == "pixels":
        return PixelColor()
    clip, description = load_clip(weights, judge_device(device))
    require_quick_gelu(clip.model.config.vision_config, weights)
    return ClipColor(clip, description)
