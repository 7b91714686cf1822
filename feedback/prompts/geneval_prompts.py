"""GenEval's 553 prompts, drawn again as their authors drew them, and others of the same grammar to
learn from and to choose settings by.

Source: djghosh13/geneval, `prompts/create_prompts.py` and `object_names.txt` (MIT): the 80 COCO
classes with three renamed, seed 43, 100 draws a task, repeats left out.
"""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING, TypeVar

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.draws import generator
from sipo.feedback.prompts.prompt import COLORS, RELATIONS, TAGS, Prompt, without_meanings

if TYPE_CHECKING:
    import numpy as np

_NAMES = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light,
fire hydrant, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant,
bear, zebra, giraffe, backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard,
sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, dining table, toilet, tv, laptop,
computer mouse, tv remote, computer keyboard, cell phone, microwave, oven, toaster, sink,
refrigerator, book, clock, vase, scissors, teddy bear, hair drier, toothbrush
"""
CLASSES = tuple(name.strip() for name in _NAMES.replace("\n", " ").split(","))
COLORABLE = CLASSES[1:]  # there are no people of a colour
_SEED, _DRAWS = 43, 100
_TRAIN_SEED, _TRAIN_DRAWS = 0, 2000
_VALIDATION_SEED = 1
_VALIDATION = {
    "single_object": 44,
    "two_object": 54,
    "counting": 44,
    "colors": 50,
    "position": 54,
    "color_attr": 54,
}

T = TypeVar("T")


def geneval_suite() -> list[Prompt]:
    """The 553 rows of `evaluation_metadata.jsonl`, in its order."""
    rng = generator(_SEED)
    singles = [grammar.single_object(name) for name in _some(CLASSES, len(CLASSES), rng)]
    others = [_draw(tag, rng) for tag in TAGS[1:] for _ in range(_DRAWS)]
    return list(dict.fromkeys([*singles, *others]))


def geneval_train_suite() -> list[Prompt]:
    """Some 6000 prompts that mean none of the 553 and none of `geneval-validation`, each meaning
    once.

    Tags are interleaved. All single objects are in the suite, so there are none here; counting
    has 116 others, which the first prompts use up, colours 633.
    """
    drawn = _others()
    counting = [prompt for prompt in drawn if prompt.tag == "counting"]
    return list(without_meanings(drawn, counting[-_VALIDATION["counting"] :]))


def geneval_validation_suite() -> list[Prompt]:
    """300 prompts that mean nothing of the 553 or of `geneval-train`, but for 44 single objects.

    All 80 single objects are among the 553. Of the 160 counting prompts that are not, the training
    draws have all, and lose their last 44.
    """
    rng, drawn = generator(_VALIDATION_SEED), _others()
    suite = [
        grammar.single_object(name) for name in _some(CLASSES, _VALIDATION["single_object"], rng)
    ]
    for tag in TAGS[1:]:
        if tag == "counting":
            fresh = iter([prompt for prompt in drawn if prompt.tag == tag][-_VALIDATION[tag] :])
        else:
            fresh = without_meanings((_draw(tag, rng) for _ in count()), geneval_suite() + drawn)
        suite += islice(fresh, _VALIDATION[tag])
    return suite


def _others() -> list[Prompt]:
    """Draws that mean none of the 553, each meaning once."""
    rng = generator(_TRAIN_SEED)
    drawn = (_draw(tag, rng) for _ in range(_TRAIN_DRAWS) for tag in TAGS[1:])
    return list(without_meanings(drawn, geneval_suite()))


def _draw(tag: str, rng: np.random.Generator) -> Prompt:
    """One prompt. The order of the draws decides which, so it is the authors'."""
    match tag:
        case "two_object":
            return grammar.two_object(*_some(CLASSES, 2, rng))
        case "counting":
            return grammar.counting(_one(CLASSES, rng), int(rng.integers(2, 4, endpoint=True)))
        case "colors":
            return grammar.colors(_one(COLORABLE, rng), _one(COLORS, rng))
        case "position":
            subject, target = _some(CLASSES, 2, rng)
            return grammar.position(subject, _one(RELATIONS, rng), target)
    (first, second), (one, other) = _some(COLORABLE, 2, rng), _some(COLORS, 2, rng)
    return grammar.color_attr(first, one, second, other)


def _one(values: tuple[T, ...], rng: np.random.Generator) -> T:
    return values[int(rng.choice(len(values)))]


def _some(values: tuple[T, ...], number: int, rng: np.random.Generator) -> list[T]:
    return [values[int(i)] for i in rng.choice(len(values), number, replace=False)]
