"""From boxes to a verdict: the official decision, and our graded score."""

from __future__ import annotations

from itertools import product

import pytest

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box, Xyxy, relations
from sipo.feedback.rule.verdict import decide


def box(name: str, left: float = 0, *, score: float = 0.9, color: str | None = None) -> Box:
    return Box(name, score, (left, 0, left + 10, 10), color)


@pytest.mark.parametrize(
    ("a", "b", "held"),
    [
        ((0, 0, 10, 10), (20, 20, 30, 30), {"left of", "above"}),
        ((0, 0, 100, 100), (25, 0, 125, 100), set()),
        ((0, 0, 100, 100), (45, 0, 145, 100), {"left of"}),
        ((20, 20, 30, 30), (0, 0, 10, 10), {"right of", "below"}),
        ((0, 0, 10, 10), (0, 0, 10, 10), set()),
    ],
)
def test_relations_are_the_official_ones(a: Xyxy, b: Xyxy, held: set[str]) -> None:
    assert relations(a, b) == held


@pytest.mark.parametrize(
    ("prompt", "boxes", "reason"),
    [
        (grammar.single_object("cat"), [box("cat")], ""),
        (grammar.single_object("cat"), [box("cat"), box("cat", 20), box("dog", 40)], ""),
        (grammar.single_object("cat"), [box("dog")], "expected cat>=1, found 0"),
        (grammar.two_object("cat", "dog"), [box("cat")], "expected dog>=1, found 0"),
        (grammar.counting("cat", 2), [box("cat"), box("cat", 20)], ""),
        (grammar.counting("cat", 2), [box("cat"), box("cat", 20), box("dog", 40)], ""),
        (grammar.counting("cat", 2), [box("cat")], "expected cat>=2, found 1"),
        (
            grammar.counting("cat", 2),
            [box("cat", 20 * i) for i in range(3)],
            "expected cat<3, found 3",
        ),
        (grammar.colors("cat", "red"), [box("cat", color="red")], ""),
        (
            grammar.colors("cat", "red"),
            [box("cat", color="blue")],
            "expected red cat>=1, found 0 (blue)",
        ),
        (
            grammar.colors("cat", "red"),  # only the surest cat is looked at
            [box("cat", score=0.9, color="blue"), box("cat", 20, score=0.5, color="red")],
            "expected red cat>=1, found 0 (blue)",
        ),
        (grammar.position("dog", "right of", "cat"), [box("cat"), box("dog", 40)], ""),
        (
            grammar.position("dog", "right of", "cat"),
            [box("cat", 40), box("dog")],
            "expected dog right of target, found left of",
        ),
        (
            grammar.position("dog", "right of", "cat"),
            [box("dog")],
            "expected cat>=1, found 0\nno target for dog to be right of",
        ),
        (
            grammar.color_attr("cat", "red", "dog", "blue"),
            [box("cat", color="blue"), box("dog", 20, color="red")],
            "expected red cat>=1, found 0 (blue)\nexpected blue dog>=1, found 0 (red)",
        ),
    ],
)
def test_decision(prompt: Prompt, boxes: list[Box], reason: str) -> None:
    verdict = decide(prompt, boxes, {"id": "test"})
    assert (verdict.correct, verdict.reason) == (not reason, reason)
    assert verdict.judge == {"id": "test"}
    assert sorted(verdict.boxes, key=repr) == sorted(boxes, key=repr)


def every_verdict(
    prompt: Prompt, name: str, colors: tuple[str | None, ...]
) -> list[tuple[bool, float]]:
    verdicts = []
    for count, score, color in product(range(9), (0.05, 0.5, 1.0), colors):
        verdict = decide(
            prompt, [box(name, 20 * i, score=score, color=color) for i in range(count)]
        )
        assert verdict.score is not None
        verdicts.append((verdict.correct, verdict.score))
    return verdicts


@pytest.mark.parametrize(
    "prompt",
    [grammar.counting("cat", 3), grammar.colors("cat", "red"), grammar.single_object("cat")],
)
def test_score_lies_in_the_unit_interval_and_correct_images_lead(prompt: Prompt) -> None:
    verdicts = every_verdict(prompt, "cat", ("red", "blue", None))
    right = [score for correct, score in verdicts if correct]
    wrong = [score for correct, score in verdicts if not correct]
    assert 0 <= min(wrong) <= max(wrong) < min(right) <= max(right) <= 1


def test_score_falls_with_distance_from_the_count() -> None:
    prompt = grammar.counting("cat", 3)
    scores = [decide(prompt, [box("cat", 20 * i) for i in range(n)]).score or 0 for n in range(9)]
    assert scores[0] < scores[1] < scores[2] < scores[3] > scores[4] > scores[5]
    assert scores[8] >= 0  # flow_grpo's form gives -0.67


def test_confidence_breaks_ties() -> None:
    prompt = grammar.single_object("cat")
    sure, unsure = (decide(prompt, [box("cat", score=s)]).score or 0 for s in (0.9, 0.4))
    assert sure > unsure


def test_a_right_relation_of_a_missing_object_earns_nothing() -> None:
    prompt = grammar.position("dog", "right of", "cat")
    both, alone = [box("cat", 40), box("dog")], [box("dog")]
    wrong_side, missing = decide(prompt, both), decide(prompt, alone)
    assert wrong_side.score is not None
    assert missing.score is not None
    assert wrong_side.score > missing.score


def test_exclude_halves_the_score() -> None:
    prompt = grammar.counting("cat", 4)
    too_few = decide(prompt, [box("cat", 20 * i) for i in range(3)])
    too_many = decide(prompt, [box("cat", 20 * i) for i in range(5)])
    assert (too_few.score or 0) > (too_many.score or 0)
