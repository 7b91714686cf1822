"""The embedded world: scenes show what they say, captions lie as often as they should."""

import itertools

import numpy as np
import pytest

from sipo.feedback.prompts.mini_prompts import (
    CLASSES,
    COLORS,
    mini_suite,
    mini_train_suite,
    random_prompt,
)
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import decide
from sipo.mini import captions
from sipo.mini.world import SIZE_PX, TINTS, break_one, depict, render

MINI_TEST, MINI_TRAIN = mini_suite(), mini_train_suite()


@pytest.mark.parametrize("tag", TAGS)
def test_true_scenes_obey_and_broken_ones_do_not(tag: str) -> None:
    """By the official rule on the ground-truth boxes."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        prompt = random_prompt(tag, rng)
        assert decide(prompt, render(depict(prompt), prompt, rng).boxes).correct
        broken = render(break_one(prompt, rng), prompt, rng)
        assert not decide(prompt, broken.boxes).correct, (prompt.text, broken.boxes)


def test_a_scene_is_a_function_of_its_generator() -> None:
    prompt = MINI_TEST[100]
    a, b = (render(depict(prompt), prompt, np.random.default_rng(3)) for _ in range(2))
    c = render(depict(prompt), prompt, np.random.default_rng(4))
    assert np.array_equal(a.image, b.image)
    assert not np.array_equal(a.image, c.image)
    assert a.image.shape == (SIZE_PX, SIZE_PX, 3)
    assert a.image.dtype == np.uint8


def test_boxes_lie_inside_and_apart() -> None:
    for scene in itertools.islice(captions.scenes(0), 100):
        for box in scene.boxes:
            x1, y1, x2, y2 = box.xyxy
            assert 0 <= x1 < x2 <= SIZE_PX
            assert 0 <= y1 < y2 <= SIZE_PX
        assert not any(_overlap(a, b) for a, b in itertools.combinations(scene.boxes, 2))


def _overlap(a: Box, b: Box) -> bool:
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.xyxy, b.xyxy
    return ax1 < bx2 and bx1 < ax2 and ay1 < by2 and by1 < ay2


def test_every_color_of_the_prompts_can_be_drawn() -> None:
    assert tuple(TINTS) == COLORS


def test_the_suites_share_no_meaning_but_single_objects() -> None:
    held_out = {p.meaning() for p in MINI_TEST}
    assert len(held_out) == len(MINI_TEST) == 168
    shared = [p for p in MINI_TRAIN if p.meaning() in held_out]
    assert {p.tag for p in shared} == {"single_object"}
    assert len({p.meaning() for p in MINI_TRAIN}) == len(MINI_TRAIN)
    assert set(TAGS) == {p.tag for p in MINI_TEST} == {p.tag for p in MINI_TRAIN}


def test_no_training_prompt_or_caption_names_a_held_out_combination() -> None:
    tested = _combinations(MINI_TEST)
    captioned = [scene.prompt for scene in itertools.islice(captions.scenes(1), 1500)]
    for source in (MINI_TRAIN, captioned):
        assert not tested & _combinations(source)


def _combinations(prompts: list[Prompt]) -> set[object]:
    """Class pairs, class-colour pairs and class-count pairs that prompts name."""
    found: set[object] = set()
    for prompt in prompts:
        if len(prompt.include) == 2:
            found.add(frozenset(prompt.classes))
        for clause in prompt.include:
            if clause.color:
                found.add((clause.class_name, clause.color))
            if prompt.tag == "counting":
                found.add((clause.class_name, clause.count))
    return found


def test_every_class_and_color_is_tested_and_trained() -> None:
    for suite in (MINI_TEST, MINI_TRAIN):
        clauses = [c for p in suite for c in p.include]
        assert {c.class_name for c in clauses} == set(CLASSES)
        assert {c.color for c in clauses if c.color} == set(COLORS)


def test_captions_lie_in_the_share_they_should() -> None:
    wrong: dict[str, list[bool]] = {tag: [] for tag in TAGS}
    for scene in itertools.islice(captions.scenes(2), 1500):
        wrong[scene.prompt.tag].append(not decide(scene.prompt, scene.boxes).correct)
    assert not any(wrong.pop("single_object"))
    sides = captions.NOISE * captions.SIDE_LIES
    assert np.mean(wrong.pop("position")) == pytest.approx(sides, abs=0.06)
    assert np.mean([*itertools.chain(*wrong.values())]) == pytest.approx(captions.NOISE, abs=0.05)
