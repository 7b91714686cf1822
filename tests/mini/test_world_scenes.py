"""The embedded world: scenes show what they say, captions lie as often as they should."""

import itertools
from collections import Counter
from hashlib import sha256

import numpy as np
import pytest

from sipo.feedback.prompts.mini_prompts import (
    CLASSES,
    COLORS,
    mini_suite,
    mini_train_suite,
    mini_validation_suite,
    random_prompt,
)
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import decide
from sipo.mini import captions
from sipo.mini.world import SIZE_PX, TINTS, break_one, depict, render

MINI_TEST, MINI_TRAIN = mini_suite(), mini_train_suite()
MINI_VALIDATION = mini_validation_suite()


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
    suites = [MINI_TRAIN, MINI_VALIDATION, MINI_TEST]
    meanings = [{p.meaning() for p in suite} for suite in suites]
    assert list(map(len, meanings)) == list(map(len, suites)) == [2260, 140, 168]
    for (suite, _), (_, others) in itertools.combinations(zip(suites, meanings, strict=True), 2):
        assert [p.tag for p in suite if p.meaning() in others] == ["single_object"] * 16
    for suite in suites:
        assert {p.tag for p in suite} == set(TAGS)


def test_every_tag_has_about_its_share_in_what_is_chosen_by_and_in_what_is_published() -> None:
    chosen, published = Counter(p.tag for p in MINI_VALIDATION), Counter(p.tag for p in MINI_TEST)
    for tag in TAGS:
        assert abs(chosen[tag] / 140 - published[tag] / 168) < 0.09


def test_no_training_prompt_names_what_validation_or_test_asks() -> None:
    trained = _combinations(MINI_TRAIN)
    assert not trained & _combinations(MINI_TEST)
    asked = {tag: [p.include for p in MINI_VALIDATION if p.tag == tag] for tag in TAGS}
    pairs = {frozenset(p.classes) for p in MINI_VALIDATION if len(p.include) == 2}
    counts = {(c.class_name, c.count) for (c,) in asked["counting"]}
    colors = {(c.class_name, c.color) for (c,) in asked["colors"]}
    assert list(map(len, (pairs, counts, colors))) == [16, 12, 16]
    assert not trained & (pairs | counts | colors)


def test_no_caption_names_what_test_asks_and_some_name_what_validation_asks() -> None:
    """What was pretrained on stays: only preferences leave validation out."""
    captioned = [scene.prompt for scene in itertools.islice(captions.scenes(1), 1500)]
    seen = _combinations(captioned)
    assert not seen & _combinations(MINI_TEST)
    assert not _combinations(MINI_VALIDATION) & _combinations(MINI_TEST)
    assert len(seen & _combinations(MINI_VALIDATION)) > 30


def test_the_stream_of_captions_is_what_the_models_were_trained_on() -> None:
    rng = np.random.default_rng(0)
    texts = "\n".join(random_prompt(TAGS[i % 6], rng).text for i in range(600))
    assert sha256(texts.encode()).hexdigest()[:12] == "ed3a6948437b"


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
    for suite in (MINI_TEST, MINI_TRAIN, MINI_VALIDATION):
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
