"""The embedded world: emoji objects on soft backgrounds, where all six GenEval tags mean something.

A scene is drawn from a `Layout` (what is there and how it stands). `depict` gives a layout that
obeys a prompt, `break_one` a layout that fails exactly one clause of it.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sipo.feedback.prompts.mini_prompts import CLASSES, COLORS
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box, Xyxy, relations

TINTS = {
    "red": (225, 25, 30),
    "orange": (255, 130, 10),
    "yellow": (250, 220, 20),
    "green": (30, 165, 50),
    "blue": (30, 75, 225),
    "purple": (125, 35, 175),
    "pink": (250, 110, 190),
    "brown": (115, 65, 30),
}
SIZE_PX = 64
_CELL_PX = 64
_GAP_PX = 1
_OBJECT_PX = {1: (26, 42), 2: (20, 29), 3: (18, 25), 4: (17, 22), 5: (15, 19)}  # by object count

Rng = np.random.Generator
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Thing:
    class_name: str
    color: str | None = None  # None: the emoji's own colours


@dataclass(frozen=True)
class Layout:
    """What a scene holds; `relation` says how thing 1 stands to thing 0."""

    things: tuple[Thing, ...]
    relation: str | None = None


@dataclass(frozen=True)
class Scene:
    """`image` is (SIZE_PX, SIZE_PX, 3) uint8 RGB; `boxes` are the ground truth, score 1."""

    image: Pixels
    prompt: Prompt
    boxes: tuple[Box, ...]


def depict(prompt: Prompt) -> Layout:
    """The layout that obeys a prompt of this world."""
    things = [Thing(c.class_name, c.color) for c in prompt.include for _ in range(c.count)]
    placed = prompt.include[-1].position
    return Layout(tuple(things), placed[0] if placed else None)


def break_one(prompt: Prompt, rng: Rng) -> Layout:
    """A layout that fails one clause: an object lost or swapped, a count, colour or side wrong."""
    layout = depict(prompt)
    things = list(layout.things)
    victim = int(rng.integers(len(things)))
    thing = things[victim]
    match prompt.tag:
        case "single_object":
            return Layout((_other_class(things, rng),))
        case "counting":
            counts = [n for n in range(1, 6) if abs(n - len(things)) in (1, 2) and n > 0]
            return Layout((thing,) * int(rng.choice(counts)))
        case "colors":
            return Layout((_other_color(thing, rng),))
        case "position" if rng.random() < 0.75:
            wrong = [r for r in ("left of", "right of", "above", "below") if r != layout.relation]
            return replace(layout, relation=str(rng.choice(wrong)))
        case "color_attr" if rng.random() < 0.75:
            if rng.random() < 0.5 and things[0].color != things[1].color:
                first, second = things
                return Layout(
                    (replace(first, color=second.color), replace(second, color=first.color))
                )
            things[victim] = _other_color(thing, rng)
            return Layout(tuple(things))
    if rng.random() < 0.6:
        return Layout((things[1 - victim],))
    things[victim] = replace(_other_class(things, rng), color=thing.color)
    return Layout(tuple(things))


def render(layout: Layout, prompt: Prompt, rng: Rng) -> Scene:
    """Draw the layout at a random place, size and background. Under a millisecond."""
    sizes, corners = _place(layout, rng)
    image = _background(rng)
    boxes = []
    for thing, size, (left, top) in zip(layout.things, sizes, corners, strict=True):
        rgb, alpha = sprite(thing, size)
        height, width = alpha.shape[:2]
        patch = image[top : top + height, left : left + width]
        patch += alpha * (rgb - patch)
        xyxy = (float(left), float(top), float(left + width), float(top + height))
        boxes.append(Box(thing.class_name, 1.0, xyxy, thing.color))
    return Scene(np.rint(image).clip(0, 255).astype(np.uint8), prompt, tuple(boxes))


@cache
def sprite(thing: Thing, size_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(rgb 0..255, alpha 0..1), both (h, w, .) with max(h, w) = size_px."""
    cell = _cell(thing.class_name)
    if thing.color:
        cell = _tint(cell, TINTS[thing.color])
    scale = size_px / max(cell.size)
    resized = cell.resize(
        (max(1, round(cell.width * scale)), max(1, round(cell.height * scale))),
        Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BICUBIC,
        reducing_gap=2.0,
    )
    pixels = np.asarray(resized, np.float32)
    return pixels[..., :3], pixels[..., 3:] / np.float32(255)


@cache
def _cell(name: str) -> Image.Image:
    column = CLASSES.index(name) * _CELL_PX
    with Image.open(Path(__file__).with_name("sprites.png")) as sheet:
        cell = sheet.crop((column, 0, column + _CELL_PX, _CELL_PX)).convert("RGBA")
    return cell.crop(cell.getbbox())


def _tint(cell: Image.Image, color: tuple[int, int, int]) -> Image.Image:
    """Keep the drawing's light and shade, replace its hue."""
    pixels = np.asarray(cell, np.float32)
    light = pixels[..., :3] @ np.array([0.299, 0.587, 0.114], np.float32)
    solid = light[pixels[..., 3] > 128]
    low, high = np.percentile(solid, [3, 97])
    shade = np.clip((light - low) / max(high - low, 1.0), 0, 1)[..., None]
    tinted = np.array(color, np.float32) * (0.55 + 0.5 * shade) + 20 * shade
    return Image.fromarray(
        np.concatenate([tinted.clip(0, 255), pixels[..., 3:]], -1).astype(np.uint8), "RGBA"
    )


def _place(layout: Layout, rng: Rng) -> tuple[list[int], list[tuple[int, int]]]:
    """Sizes and top-left corners without overlap, standing as the layout asks."""
    low, high = _OBJECT_PX[len(layout.things)]
    while True:
        sizes = [int(s) for s in rng.integers(low, high + 1, len(layout.things))]
        boxes: list[Xyxy] = []
        for thing, size in zip(layout.things, sizes, strict=True):
            height, width = sprite(thing, size)[1].shape[:2]
            for _ in range(20):
                left = int(rng.integers(0, SIZE_PX - width + 1))
                top = int(rng.integers(0, SIZE_PX - height + 1))
                box = (left, top, left + width, top + height)
                if all(_apart(box, other) for other in boxes):
                    boxes.append(box)
                    break
        if len(boxes) == len(sizes) and _stands(boxes, layout.relation):
            return sizes, [(int(b[0]), int(b[1])) for b in boxes]


def _stands(boxes: list[Xyxy], relation: str | None) -> bool:
    """The relation and no second one, so that a reader would name it too."""
    return relation is None or relations(boxes[1], boxes[0]) == {relation}


def _apart(a: Xyxy, b: Xyxy) -> bool:
    return (
        a[0] >= b[2] + _GAP_PX
        or b[0] >= a[2] + _GAP_PX
        or a[1] >= b[3] + _GAP_PX
        or b[1] >= a[3] + _GAP_PX
    )


def _background(rng: Rng) -> NDArray[np.float32]:
    hue = rng.random()
    top = colorsys.hsv_to_rgb(hue, rng.uniform(0, 0.15), rng.uniform(0.88, 1))
    bottom = colorsys.hsv_to_rgb(
        (hue + rng.uniform(-0.08, 0.08)) % 1, rng.uniform(0, 0.2), rng.uniform(0.75, 1)
    )
    slope = np.linspace(0, 1, SIZE_PX, dtype=np.float32)[:, None, None]
    column = np.array(top, np.float32) * (1 - slope) + np.array(bottom, np.float32) * slope
    return np.repeat(column * 255, SIZE_PX, axis=1)


def _other_class(things: list[Thing], rng: Rng) -> Thing:
    taken = {t.class_name for t in things}
    return Thing(str(rng.choice([c for c in CLASSES if c not in taken])))


def _other_color(thing: Thing, rng: Rng) -> Thing:
    return replace(thing, color=str(rng.choice([c for c in COLORS if c != thing.color])))
