"""The embedded world's prompts in three suites, disjoint by meaning: to learn from, to choose
settings by, and to publish.

| suite | what is its own | is for |
| --- | --- | --- |
| `mini-train` | the rest | preferences |
| `mini-validation` | 16 of 120 class pairs, of 128 class-colours, 12 of 48 class-counts | choices |
| `mini` | 24 class pairs, 32 class-colours, 16 class-counts | what is published, never a choice |

Each class loses the same number of partners and colours to each, so that no class is strange.
`single_object` has 16 prompts in all: there the three share.

The scenes on which mini-sd and the judges are pretrained (mini/captions.py, by `random_prompt`)
leave out the test side alone: they show what `mini-validation` asks. Only preferences are not
learnt on it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product, zip_longest
from typing import TYPE_CHECKING, Literal

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.draws import generator
from sipo.feedback.prompts.prompt import COLORS as ALL_COLORS
from sipo.feedback.prompts.prompt import RELATIONS, TAGS, Prompt

if TYPE_CHECKING:
    import numpy as np

CLASSES = (
    "cat", "dog", "horse", "cow", "elephant", "bear", "bird", "car",
    "bus", "airplane", "boat", "apple", "banana", "chair", "clock", "umbrella",
)  # fmt: skip
COLORS = ALL_COLORS[:8]  # none of an emoji's own shadows: no black, no white
COUNTS = (2, 3, 4)


Side = Literal["train", "validation", "test"]


def side_of_pair(a: str, b: str) -> Side:
    apart = abs(CLASSES.index(a) - CLASSES.index(b))
    return "test" if apart in (5, 8, 11) else "validation" if apart in (3, 13) else "train"


def side_of_color(name: str, color: str) -> Side:
    step = (COLORS.index(color) - 3 * CLASSES.index(name)) % len(COLORS)
    return "test" if step in (1, 4) else "validation" if step == 6 else "train"


def side_of_count(name: str, count: int) -> Side:
    """Three classes in four have a count of validation's."""
    number = CLASSES.index(name)
    step = (COUNTS.index(count) - number) % len(COUNTS)
    return "test" if step == 0 else "validation" if step == 1 and number % 4 < 3 else "train"


def random_prompt(tag: str, rng: np.random.Generator) -> Prompt:
    """A prompt that names nothing of the test side, uniform over what the tag can ask."""
    while True:
        prompt = any_prompt(tag, rng)
        if "test" not in _sides(prompt):
            return prompt


def mini_train_suite() -> list[Prompt]:
    """Every training prompt once by meaning, tags interleaved: any prefix is balanced."""
    by_tag = {tag: _shuffled(list(_grid(tag, "train"))) for tag in TAGS}
    rows = zip_longest(*by_tag.values())
    return [prompt for row in rows for prompt in row if prompt is not None]


def mini_validation_suite() -> list[Prompt]:
    """140 prompts: 16 single, 16 two_object, 12 counting, 16 colors, 48 position, 32 color_attr."""
    return _held_out("validation")


def mini_suite() -> list[Prompt]:
    """168 prompts: 16 single, 24 two_object, 16 counting, 32 colors, 48 position, 32 color_attr."""
    return _held_out("test")


def _held_out(side: Side) -> list[Prompt]:
    wanted = {"position": 48, "color_attr": 32}
    suite = []
    for tag in TAGS:
        prompts = list(_grid(tag, side))
        if tag in wanted:
            prompts = _spread(_shuffled(prompts), wanted[tag])
        suite += prompts
    return suite


def _grid(tag: str, side: Side) -> Iterator[Prompt]:
    """All prompts of a tag on one side of the split. The text order of a pair alternates."""
    pairs = [
        (a, b) if (CLASSES.index(a) + CLASSES.index(b)) % 2 else (b, a)
        for a, b in combinations(CLASSES, 2)
        if side_of_pair(a, b) == side
    ]
    match tag:
        case "single_object":
            yield from (grammar.single_object(name) for name in CLASSES)
        case "two_object":
            yield from (grammar.two_object(a, b) for a, b in pairs)
        case "counting":
            for name, count in product(CLASSES, COUNTS):
                if side_of_count(name, count) == side:
                    yield grammar.counting(name, count)
        case "colors":
            for name, color in product(CLASSES, COLORS):
                if side_of_color(name, color) == side:
                    yield grammar.colors(name, color)
        case "position":
            for (a, b), relation in product(pairs, RELATIONS):
                yield grammar.position(a, relation, b)
        case "color_attr":
            for (a, b), c, d in product(pairs, COLORS, COLORS):
                sides = {side_of_color(a, c), side_of_color(b, d)}
                if c != d and _colors_are_of(side, sides):
                    yield grammar.color_attr(a, c, b, d)


def _colors_are_of(side: Side, sides: set[Side]) -> bool:
    """Both of the side; of validation, which has one colour a class, at least one and no test's."""
    if side == "validation":
        return side in sides and "test" not in sides
    return sides == {side}


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
    order = generator(0).permutation(len(prompts))
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


def _sides(prompt: Prompt) -> set[Side]:
    """Of all that the prompt asks but classes alone."""
    if prompt.tag == "counting":
        return {side_of_count(prompt.include[0].class_name, prompt.include[0].count)}
    sides = {side_of_color(c.class_name, c.color) for c in prompt.include if c.color}
    if len(prompt.include) == 2:
        sides.add(side_of_pair(*(c.class_name for c in prompt.include)))
    return sides
