"""The colour of a detected object, by its pixels: no weights, no text.

GenEval asks CLIP ("a photo of a red dog"): clip_color.py. A namer has to implement `ColorNamer`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sipo.feedback.prompts.prompt import COLORS
from sipo.feedback.rule.boxes import Box

Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

ANCHORS = {
    "red": (
        (225, 25, 30), (175, 20, 25), (130, 15, 18), (220, 60, 55), (205, 40, 75), (85, 12, 16),
    ),
    "orange": ((255, 130, 10), (205, 102, 10), (255, 155, 45), (250, 165, 105)),
    "yellow": (
        (250, 220, 20), (255, 240, 60), (200, 176, 18), (145, 120, 12), (240, 190, 40),
        (250, 240, 150),
    ),
    "green": (
        (30, 165, 50), (20, 105, 32), (90, 200, 100), (160, 205, 50), (110, 150, 40),
        (140, 145, 40), (80, 95, 30), (175, 230, 170), (12, 60, 25), (25, 130, 100),
    ),
    "blue": (
        (30, 75, 225), (20, 45, 140), (80, 150, 240), (120, 190, 240), (15, 25, 75), (60, 90, 130),
        (15, 120, 170),
    ),
    "purple": (
        (125, 35, 175), (75, 22, 105), (160, 80, 210), (190, 150, 220), (150, 50, 130),
        (70, 20, 60),
    ),
    "pink": (
        (250, 110, 190), (190, 85, 145), (145, 64, 110), (255, 180, 210), (235, 60, 120),
        (235, 150, 150),
    ),
    "brown": (
        (115, 65, 30), (70, 40, 18), (145, 92, 55), (165, 115, 78), (95, 65, 48), (45, 28, 18),
        (130, 62, 42),
    ),
    "black": ((18, 18, 18), (45, 45, 45), (80, 80, 80), (110, 110, 110)),
    "white": ((255, 255, 255), (225, 225, 225), (185, 185, 185), (150, 150, 150)),
}  # fmt: skip
"""sRGB examples of each colour: full, in shade, in light, and what people still call so.

Grey is none of GenEval's: its darker half is black, its lighter half white.
"""

LIGHTNESS_SHARE = 0.6  # of a lightness difference, beside hue and chroma's whole
MOST_PIXELS = 4096  # of a box that are looked at
RING_SHARE = 0.1  # of a box's shorter side: how far its surroundings reach
RING_PX = 3  # and at least so far
FALL = 0.5  # how a pixel's weight falls from the centre: exp(-FALL) at the middle of a side
GREY_WEIGHT = 0.06  # a grey pixel's, where one of chroma C has GREY_WEIGHT + C
DARK_WEIGHT = 0.2  # a black pixel's, where one of lightness L has DARK_WEIGHT + L
FAINT = 0.04  # in OKLab: what differs less from its surroundings is nothing


class Sight(NamedTuple):
    """An object in its image. `mask` (height, width) marks its own pixels where they are known."""

    image: Image.Image
    box: Box
    mask: Mask | None = None


class ColorNamer(Protocol):
    """Says which of `colors` each object has, or None when it cannot tell."""

    def describe(self) -> dict[str, object]: ...

    def names(self, seen: Sequence[Sight], colors: Sequence[str] = COLORS) -> list[str | None]: ...


class PixelColor:
    """A vote of the box's pixels, each for its nearest anchor in OKLab.

    The object votes, not its box. With f the share of an anchor inside the box and r its share
    around it, f / (f + r) is the chance that such a pixel is none of the surroundings (Bayes, both
    equally likely beforehand); it counts squared, as colours that are in both say little. A vote
    weighs more near the centre, and more the more chroma and light it has: windows, tyres, glare
    and shadow are grey whatever the paint, folds and outlines dark. So an object is black or white
    where grey has most of it by far.
    """

    def describe(self) -> dict[str, object]:
        return {"id": "pixels", "version": 2}  # 1 took no account of what is around, nor of where

    def names(self, seen: Sequence[Sight], colors: Sequence[str] = COLORS) -> list[str | None]:
        return [self.name(one.image, one.box, colors, one.mask) for one in seen]

    def name(
        self,
        image: Image.Image,
        box: Box,
        colors: Sequence[str] = COLORS,
        mask: Mask | None = None,
    ) -> str | None:
        """One of `colors`; None where the box holds nothing that differs from its surroundings.

        Raises ValueError for a colour without anchors.
        """
        anchors, owner = _anchors(tuple(colors))
        view = _look(image, box, mask)
        if not len(view.inside) or _is_empty(view):
            return None
        nearest = _nearest(view.inside, anchors)
        weights = view.weights * _own(nearest, view, anchors)[nearest] ** 2
        weights *= GREY_WEIGHT + np.hypot(view.inside[:, 1], view.inside[:, 2])
        weights *= DARK_WEIGHT + view.inside[:, 0]
        votes = np.bincount(owner[nearest], weights, len(colors))
        return colors[int(votes.argmax())]


class _View(NamedTuple):
    """(n, 3) OKLab in the box, (n,) their weights by place, (m, 3) OKLab around it."""

    inside: Floats
    weights: Floats
    around: Floats


def _look(image: Image.Image, box: Box, mask: Mask | None) -> _View:
    """Every k-th row and column, such that at most MOST_PIXELS lie in the box.

    With a mask its pixels are all the object's: they weigh alike and have no surroundings.
    """
    left, top = (max(0, round(value)) for value in box.xyxy[:2])
    right, bottom = min(image.width, round(box.xyxy[2])), min(image.height, round(box.xyxy[3]))
    width, height = right - left, bottom - top
    if width <= 0 or height <= 0:
        return _View(*(np.zeros(shape, np.float32) for shape in ((0, 3), 0, (0, 3))))
    reach = 0 if mask is not None else max(RING_PX, round(RING_SHARE * min(width, height)))
    x0, y0 = max(0, left - reach), max(0, top - reach)
    step = max(1, int(np.ceil(np.sqrt(width * height / MOST_PIXELS))))
    y = np.arange(y0, min(image.height, bottom + reach), step)[:, None]
    x = np.arange(x0, min(image.width, right + reach), step)[None]
    pixels = _every(step, image, (x0, y0), (x.size, y.size))
    inside = (top <= y) & (y < bottom) & (left <= x) & (x < right)
    if mask is not None:
        inside &= mask[y, x]
        return _View(oklab(pixels[inside]), np.ones(inside.sum(), np.float32), oklab(pixels[:0, 0]))
    off = ((2 * y + 1 - top - bottom) / height) ** 2 + ((2 * x + 1 - left - right) / width) ** 2
    weights = np.exp(-FALL * off[inside]).astype(np.float32)
    return _View(oklab(pixels[inside]), weights, oklab(pixels[~inside]))


def _every(
    step: int, image: Image.Image, first: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.uint8]:
    """(rows, columns, 3): from pixel `first` on, every `step`-th; no other is touched."""
    x, y = (place + 0.5 - step / 2 for place in first)  # Pillow takes the middle of `step` pixels
    taken = image.transform(size, Image.Transform.AFFINE, (step, 0, x, 0, step, y))
    return np.asarray(taken.convert("RGB"))


def _is_empty(view: _View) -> bool:
    """Whether nine tenths of the box are what is around it, to within FAINT."""
    if not len(view.around):
        return False
    distances = np.linalg.norm(view.inside - np.median(view.around, axis=0), axis=1)
    return bool(np.quantile(distances, 0.9) < FAINT)


def _own(nearest: NDArray[np.intp], view: _View, anchors: Floats) -> Floats:
    """Per anchor the chance that a pixel of it in the box is none of the surroundings."""
    inside = np.bincount(nearest, view.weights, len(anchors)) / view.weights.sum()
    around = np.bincount(_nearest(view.around, anchors), minlength=len(anchors))
    shares = around / max(1, len(view.around))
    own: Floats = (inside / (inside + shares).clip(1e-9)).astype(np.float32)
    return own


def oklab(pixels: NDArray[np.uint8]) -> Floats:
    """(n, 3) sRGB uint8 -> (n, 3) lightness in [0, 1], a, b.

    Source: Ottosson 2020, "A perceptual color space for image processing".
    """
    lab: Floats = np.cbrt(_LINEAR[pixels] @ _TO_LMS.T) @ _TO_LAB.T
    return lab


_SRGB = np.arange(256, dtype=np.float32) / 255
_LINEAR = np.where(_SRGB <= 0.04045, _SRGB / 12.92, ((_SRGB + 0.055) / 1.055) ** 2.4)
_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
_SCALE = np.array([LIGHTNESS_SHARE, 1, 1], np.float32)


@cache
def _anchors(colors: tuple[str, ...]) -> tuple[Floats, NDArray[np.intp]]:
    """(a, 3) anchors of `colors`, lightness shortened, and the index of each one's colour."""
    for color in colors:
        if color not in ANCHORS:
            raise ValueError(f"color {color!r} is unknown; known are {', '.join(ANCHORS)}")
    owner = np.array([i for i, color in enumerate(colors) for _ in ANCHORS[color]])
    examples = np.array([a for color in colors for a in ANCHORS[color]], np.uint8)
    return oklab(examples) * _SCALE, owner


def _nearest(pixels: Floats, anchors: Floats) -> NDArray[np.intp]:
    """(n, 3) OKLab -> (n,) index of the nearest anchor: |a|² - 2 p a, without the pixel's |p|²."""
    distances = (pixels * _SCALE) @ (-2 * anchors).T
    distances += (anchors**2).sum(1)
    nearest: NDArray[np.intp] = distances.argmin(1)
    return nearest
