"""Colours are named where the rule looks, and all of a batch at once: no verdict is another."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny_judges import tiny_clip

from sipo.feedback.detectors.base import Colored, judge_all, with_colors
from sipo.feedback.detectors.clip_color import BATCH, load_color
from sipo.feedback.detectors.color import ColorNamer, PixelColor, Sight
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.prompt import COLORS, TAGS, Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import MAX_PER_CLASS, Verdict, decide
from sipo.mini.train.labelled_scenes import labelled_scenes

NAMES = ("dog", "cat", "bus")
PROMPTS = [
    grammar.colors("dog", "red"),
    grammar.color_attr("dog", "red", "cat", "blue"),
    grammar.two_object("cat", "bus"),
    grammar.counting("dog", 3),
    Prompt(
        tag="counting",
        include=(
            Clause(class_name="dog", count=2, color="red"),
            Clause(class_name="dog", count=1, color="blue"),
        ),
        exclude=(Clause(class_name="cat", count=2, color="green"),),
        prompt="two red dogs and a blue dog",
    ),
]
THRESHOLDS = dict.fromkeys(TAGS, 0.3) | {"counting": 0.5, "colors": 0.1}


class ByPlace:
    """Names by the box alone, and counts."""

    def __init__(self) -> None:
        self.calls: list[int] = []

    def describe(self) -> dict[str, object]:
        return {"id": "by place"}

    def names(self, seen: Sequence[Sight], colors: Sequence[str] = COLORS) -> list[str | None]:
        self.calls.append(len(seen))
        return [[*COLORS[:3], None][int(sum(one.box.xyxy)) % 4] for one in seen]


class Fixed:
    """Sees the same boxes in every image."""

    vocabulary = NAMES
    thresholds = THRESHOLDS

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes, self.namer = boxes, ByPlace()

    def describe(self) -> dict[str, object]:
        return {"id": "fixed"}

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        boxes = [box for box in self.boxes if box.score >= floor]
        return with_colors(self.namer, images, [boxes] * len(images), colored)


def eager(boxes: Sequence[Box], prompt: Prompt) -> Verdict:
    """All boxes named before the rule sees them."""
    image = Image.new("RGB", (8, 8))
    [named] = with_colors(ByPlace(), [image], [boxes], None)
    sure = [box for box in named if box.score >= THRESHOLDS[prompt.tag]]
    return decide(prompt, sure, {"id": "fixed"})


def without_unasked(verdict: Verdict, prompt: Prompt) -> Verdict:
    boxes = [b if b.class_name in prompt.colored else replace(b, color=None) for b in verdict.boxes]
    return verdict.model_copy(update={"boxes": tuple(boxes)})


BOXES = st.lists(
    st.builds(
        lambda name, score, x, y: Box(name, score, (float(x), float(y), x + 20.0, y + 20.0)),
        st.sampled_from(NAMES),
        st.sampled_from([0.05, 0.2, 0.4, 0.4, 0.6, 0.9]),  # some alike
        st.integers(0, 40),
        st.integers(0, 40),
    ),
    max_size=60,
)


@settings(deadline=None)
@given(BOXES, st.sampled_from(PROMPTS))
def test_a_verdict_is_the_same_whether_all_boxes_are_named_or_those_it_looks_at(
    boxes: list[Box], prompt: Prompt
) -> None:
    [lazy] = judge_all(Fixed(boxes), [Image.new("RGB", (64, 64))], [prompt])
    assert lazy == without_unasked(eager(boxes, prompt), prompt)


def test_no_more_are_named_than_the_rule_looks_at_and_in_one_call() -> None:
    chance = random.Random(0)
    boxes = [
        Box("dog", chance.uniform(0.05, 0.95), (float(n), 0.0, n + 9.0, 9.0)) for n in range(60)
    ]
    boxes += [Box("cat", 0.9, (float(n), 20.0, n + 9.0, 29.0)) for n in range(60)]
    detector = Fixed(boxes)
    prompts = [PROMPTS[0], PROMPTS[2], PROMPTS[0]]
    judge_all(detector, [Image.new("RGB", (64, 64))] * 3, prompts)
    assert detector.namer.calls == [2 * MAX_PER_CLASS]


def test_a_colour_that_is_known_is_not_asked_again() -> None:
    namer = ByPlace()
    known = Box("dog", 0.9, (0.0, 0.0, 5.0, 5.0), "purple")
    assert with_colors(namer, [Image.new("RGB", (8, 8))], [[known]], None) == [[known]]
    assert namer.calls == [0]


def sights(count: int) -> list[Sight]:
    """Of drawn scenes; every third has a mask, one has no pixels."""
    found = []
    for scene in itertools.islice(labelled_scenes(5), count):
        image = Image.fromarray(scene.image)
        for box in scene.boxes:
            mask = np.zeros((image.height, image.width), bool)
            mask[::2] = True
            found.append(Sight(image, box, None if len(found) % 3 else mask))
    found.append(Sight(image, Box("dog", 1.0, (5.0, 5.0, 5.2, 9.0))))
    return found


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("clip"))


@pytest.mark.parametrize("name", ["pixels", "clip"])
def test_a_colour_is_the_same_alone_and_among_others(name: str, clip_folder: Path) -> None:
    namer: ColorNamer = PixelColor() if name == "pixels" else load_color("clip", clip_folder, "cpu")
    seen = sights(50)
    assert len(seen) > BATCH
    together = namer.names(seen)
    assert together == [color for one in seen for color in namer.names([one])]
    assert len({color for color in together if color}) > 1
    assert together[-1] is None


def test_clip_looks_at_the_crops_of_a_batch_together(clip_folder: Path) -> None:
    namer = load_color("clip", clip_folder, "cpu")
    rows: list[int] = []
    model = namer._clip.model  # type: ignore[attr-defined]
    forward = model.get_image_features

    def counted(pixel_values: torch.Tensor) -> object:
        assert pixel_values.dtype == torch.float32
        rows.append(len(pixel_values))
        return forward(pixel_values=pixel_values)

    model.get_image_features = counted
    seen = sights(60)
    namer.names(seen)
    assert rows == [BATCH] * (len(seen) // BATCH) + [len(seen) % BATCH - 1]
