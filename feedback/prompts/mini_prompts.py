"""The embedded world's prompts: to learn from, and the held-out suite `mini`, disjoint by meaning.

Held out of every caption and every preference prompt: one class pair in five, one class-colour pair
in four, one class-count in three. Each class loses the same number of partners, colours and
counts, so that no class is strange. `single_object` has 16 prompts in all: there both sets share.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product, zip_longest

import numpy as np

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import COLORS as ALL_COLORS
from sipo.feedback.prompts.prompt import RELATIONS, TAGS, Prompt

CLASSES = (
    "cat", "dog", "horse", "cow", "elephant", "bear", "bird", "car",
    "bus", "airplane", "boat", "apple", "banana", "chair", "clock", "umbrella",
)  # fmt: skip
COLORS = ALL_COLORS[:8]  # none of an emoji's own shadows: no black, no white
COUNTS = (2, 3, 4)


def pair_is_held_out(a: str, b: str) -> bool:
    return abs(CLASSES.index(a) - CLASSES.index(b)) in (5, 8, 11)


def color_is_held_out(name: str, color: str) -> bool:
    return (COLORS.index(color) - 3 * CLASSES.index(name)) % len(COLORS) in (1, 4)


def count_is_held_out(name: str, count: int) -> bool:
    return CLASSES.index(name) % len(COUNTS) == COUNTS.index(count)


def random_prompt(tag: str, rng: np.random.Generator) -> Prompt:
    """A prompt of the training side, uniform over what the tag can ask."""
    while True:
        prompt = any_prompt(tag, rng)
        if not _mentions_held_out(prompt):
            return prompt


def mini_train_suite() -> list[Prompt]:
    """Every training prompt once by meaning, tags interleaved: any prefix is balanced."""
    by_tag = {tag: _shuffled(list(_grid(tag, held_out=False))) for tag in TAGS}
    rows = zip_longest(*by_tag.values())
    return [prompt for row in rows for prompt in row if prompt is not None]


def mini_suite() -> list[Prompt]:
    """168 prompts: 16 single, 24 two_object, 16 counting, 32 colors, 48 position, 32 color_attr."""
    wanted = {"position": 48, "color_attr": 32}
    suite = []
    for tag in TAGS:
        prompts = list(_grid(tag, held_out=True))
        if tag in wanted:
            prompts = _spread(_shuffled(prompts), wanted[tag])
        suite += prompts
    return suite


def _grid(tag: str, held_out: bool) -> Iterator[Prompt]:
    """All prompts of a tag on one side of the split. The text order of a pair alternates."""
    pairs = [
        (a, b) if (CLASSES.index(a) + CLASSES.index(b)) % 2 else (b, a)
        for a, b in combinations(CLASSES, 2)
        if pair_is_held_out(a, b) == held_out
    ]
    match tag:
        case "single_object":
            yield from (grammar.single_object(name) for name in CLASSES)
        case "two_object":
            yield from (grammar.two_object(a, b) for a, b in pairs)
        case "counting":
            for name, count in product(CLASSES, COUNTS):
                if count_is_held_out(name, count) == held_out:
                    yield grammar.counting(name, count)
        case "colors":
            for name, color in product(CLASSES, COLORS):
                if color_is_held_out(name, color) == held_out:
                    yield grammar.colors(name, color)
        case "position":
            for (a, b), relation in product(pairs, RELATIONS):
                yield grammar.position(a, relation, b)
        case "color_attr":
            for (a, b), c, d in product(pairs, COLORS, COLORS):
                sides = {color_is_held_out(a, c), color_is_held_out(b, d)}
                if c != d and sides == {held_out}:
                    yield grammar.color_attr(a, c, b, d)


def _spread(prompts: list[Prompt], total: int) -> list[Prompt]:
    """The first `total`, taking every class pair as often as any other."""
    taken: dict[tuple[str, ...], int] = {}
    ranked: list[tuple[int, int, Prompt]] = []
    for prompt in prompts:
        key = tuple(sorted(prompt.classes))
        ranked.append((taken.get(key, 0), len(ranked), prompt))
        taken[key] = taken.get(key, 0) + 1
    return [prompt for _, _, prompt in sorted(ranked, key=lambda row: row[:2])[:total]]


def _shuffled(prompts: list[Prompt]) -> list[Prompt]:
    order = np.random.default_rng(0).permutation(len(prompts))
    return [prompts[i] for i in order]


def any_prompt(tag: str, rng: np.random.Generator) -> Prompt:
    """A prompt of the whole world, on either side of the split."""
    a, b = (str(name) for name in rng.choice(CLASSES, 2, replace=False))
    c, d = (str(color) for color in rng.choice(COLORS, 2, replace=False))
    match tag:
        case "single_object":
            return grammar.single_object(a)
        case "two_object":
            return grammar.two_object(a, b)
        case "counting":
            return grammar.counting(a, int(rng.choice(COUNTS)))
        case "colors":
            return grammar.colors(a, c)
        case "position":
            return grammar.position(a, str(rng.choice(RELATIONS)), b)
    return grammar.color_attr(a, c, b, d)


def _mentions_held_out(prompt: Prompt) -> bool:
    if prompt.tag == "counting":
        return count_is_held_out(prompt.include[0].class_name, prompt.include[0].count)
    if any(c.color and color_is_held_out(c.class_name, c.color) for c in prompt.include):
        return True
    return len(prompt.include) == 2 and pair_is_held_out(*(c.class_name for c in prompt.include))
