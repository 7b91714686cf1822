"""How sure a judge is of single objects."""

from __future__ import annotations

import pytest

from sipo.feedback.prompts import grammar
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.confidence import single_object_confidence
from sipo.feedback.rule.verdict import Verdict, failed_verdict

CAT, DOG, CATS = (
    grammar.single_object("cat"),
    grammar.single_object("dog"),
    grammar.counting("cat", 2),
)


def seen(*boxes: tuple[str, float], judge: dict[str, object] | None = None) -> Verdict:
    found = tuple(Box(name, score, (0, 0, 1, 1)) for name, score in boxes)
    return Verdict(score=0.5, correct=False, boxes=found, judge=judge or {})


def test_the_surest_box_of_the_class_that_is_asked_for() -> None:
    """Cat .7 (not the dog's .9), dog none: 0; counting and failures are not looked at."""
    prompts = [CAT, DOG, CATS, DOG]
    verdicts = [
        seen(("cat", 0.4), ("cat", 0.7), ("dog", 0.9)),
        seen(("cat", 0.8)),
        seen(("cat", 0.1)),
        failed_verdict("cannot see", {}),
    ]
    assert single_object_confidence(prompts, verdicts) == pytest.approx(0.35)


def test_none_without_boxes_or_single_objects() -> None:
    """A detector that sees nothing anywhere is a detector all the same."""
    assert single_object_confidence([CAT], [seen()]) is None
    assert single_object_confidence([CAT], [seen(judge={"thresholds": {}})]) == 0
    assert single_object_confidence([CATS], [seen(("cat", 0.5))]) is None
