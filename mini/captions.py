"""Captioned scenes to pretrain on, with captions noisy the way web captions are.

A share of the captions lies in one clause (an object lost, a count, colour or side wrong), never
in single-object ones. The model then draws well and follows prompts badly: the candidates of one
prompt differ by composition, which is what a preference can choose between.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sipo.mini.suites import random_prompt
from sipo.mini.world import Scene, break_one, depict, render

NOISE = 0.3  # share of the captions with more than one object, colour or count that are wrong
TAG_SHARES = {
    "single_object": 0.08,
    "two_object": 0.12,
    "counting": 0.2,
    "colors": 0.16,
    "position": 0.22,
    "color_attr": 0.22,
}


def scenes(seed: int, noise: float = NOISE) -> Iterator[Scene]:
    """Endless captioned scenes; the stream is a function of its arguments."""
    rng = np.random.default_rng(seed)
    tags, shares = list(TAG_SHARES), list(TAG_SHARES.values())
    while True:
        tag = str(rng.choice(tags, p=shares))
        prompt = random_prompt(tag, rng)
        wrong = tag != "single_object" and rng.random() < noise
        yield render(break_one(prompt, rng) if wrong else depict(prompt), prompt, rng)
