"""Captioned scenes to pretrain on, true or noisy the way web captions are.

A share of the captions lies in one clause, never in single-object ones: the thing out of frame, one
more or less than said, the colours exchanged, the side mixed up. Each lie has one likely truth, so
a model that reads such captions learns a mixture of the right and one wrong composition: it draws
well and follows prompts badly, and the candidates of one prompt differ by composition, which is
what a preference can choose between.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from sipo.feedback.prompts.mini_prompts import random_prompt
from sipo.feedback.prompts.prompt import Prompt
from sipo.mini.world import Layout, Rng, Scene, depict, render

NOISE = 0.5  # share of lies among the noisy captions, single-object ones excepted
SIDE_LIES = 0.6  # of that share in position captions: half of all opposite would erase sides
TAG_SHARES = {
    "single_object": 0.08,
    "two_object": 0.1,
    "counting": 0.2,
    "colors": 0.15,
    "position": 0.17,
    "color_attr": 0.3,
}
OPPOSITE = {"left of": "right of", "right of": "left of", "above": "below", "below": "above"}
COMPLEMENT = {"red": "green", "orange": "blue", "yellow": "purple", "pink": "brown"}
COMPLEMENT |= {b: a for a, b in COMPLEMENT.items()}


def scenes(seed: int, noise: float = NOISE) -> Iterator[Scene]:
    """Endless captioned scenes; the stream is a function of its arguments."""
    rng = np.random.default_rng(seed)
    tags, shares = list(TAG_SHARES), list(TAG_SHARES.values())
    while True:
        tag = str(rng.choice(tags, p=shares))
        prompt = random_prompt(tag, rng)
        share = noise * SIDE_LIES if tag == "position" else noise
        wrong = tag != "single_object" and rng.random() < share
        yield render(mistaken(prompt, rng) if wrong else depict(prompt), prompt, rng)


def mistaken(prompt: Prompt, rng: Rng) -> Layout:
    """What is really seen where a careless author writes `prompt`."""
    layout = depict(prompt)
    things = list(layout.things)
    match prompt.tag:
        case "counting":
            return Layout((things[0],) * (len(things) + int(rng.choice((-1, 1)))))
        case "colors":
            return Layout((replace(things[0], color=COMPLEMENT[things[0].color or ""]),))
        case "position":
            return replace(layout, relation=OPPOSITE[layout.relation or ""])
        case "color_attr":
            first, second = things
            return Layout((replace(first, color=second.color), replace(second, color=first.color)))
    return Layout((things[int(rng.integers(len(things)))],))
