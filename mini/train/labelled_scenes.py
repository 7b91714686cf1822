"""Scenes with their true boxes, to train and to check detectors on.

A detector must know everything: both sides of the prompts' split, all counts, all colours. Beside
scenes that obey or break a prompt it sees layouts no prompt asks for (five things of five classes).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from sipo.feedback.prompts.mini_prompts import CLASSES, COLORS, any_prompt
from sipo.feedback.prompts.prompt import TAGS
from sipo.mini.world import Layout, Scene, Thing, break_one, depict, render

FREE_SHARE = 0.4  # of the scenes have a layout of their own
Pixels = NDArray[np.uint8]


def labelled_scenes(seed: int) -> Iterator[Scene]:
    """Endless scenes; the stream is a function of `seed`."""
    rng = np.random.default_rng(seed)
    while True:
        prompt = any_prompt(str(rng.choice(TAGS)), rng)
        if rng.random() < FREE_SHARE:
            layout = free_layout(rng)
        else:
            layout = depict(prompt) if rng.random() < 0.5 else break_one(prompt, rng)
        yield render(layout, prompt, rng)


def tagged_scenes(tag: str, obey: bool, seed: int) -> Iterator[Scene]:
    """Endless scenes of one tag that all obey their prompt, or all break it in one clause."""
    rng = np.random.default_rng((seed, TAGS.index(tag), obey))
    while True:
        prompt = any_prompt(tag, rng)
        yield render(depict(prompt) if obey else break_one(prompt, rng), prompt, rng)


def free_layout(rng: np.random.Generator) -> Layout:
    """One to five things, of one class and colour or each of its own."""
    things = [_thing(rng) for _ in range(int(rng.integers(1, 6)))]
    if rng.random() < 0.4:
        things = [things[0]] * len(things)
    return Layout(tuple(things))


def soften(image: Pixels, rng: np.random.Generator) -> Pixels:
    """What a decoder does to a drawing: blur, grain, another exposure. (h, w, 3) uint8."""
    if rng.random() < 0.6:
        blur = ImageFilter.GaussianBlur(float(rng.uniform(0.2, 0.9)))
        image = np.asarray(Image.fromarray(image).filter(blur))
    pixels: NDArray[np.float32] = image.astype(np.float32)
    if rng.random() < 0.5:
        pixels = (pixels - 128) * rng.uniform(0.88, 1.1) + 128 + rng.uniform(-14, 10)
    if rng.random() < 0.6:
        pixels += rng.normal(0, rng.uniform(1, 7), pixels.shape).astype(np.float32)
    return np.rint(pixels).clip(0, 255).astype(np.uint8)


def _thing(rng: np.random.Generator) -> Thing:
    color = None if rng.random() < 0.35 else str(rng.choice(COLORS))
    return Thing(str(rng.choice(CLASSES)), color)
