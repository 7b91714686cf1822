"""A verdict keeps its complaints as data; English and the table of why images fail come of them."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from sipo.feedback.complaint_table import complaint_lines, count_complaints
from sipo.feedback.ensemble import make_ensemble
from sipo.feedback.frames import FrameJudge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt, plain_text
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.complaint import Complaint, in_words
from sipo.feedback.rule.verdict import Verdict, decide, failed_verdict

CAT = Box("cat", 0.9, (0, 0, 10, 10), "red")
DOG = Box("dog", 0.9, (40, 0, 50, 10), "blue")


@pytest.mark.parametrize(
    ("prompt", "boxes", "complaint", "english"),
    [
        (
            grammar.single_object("cat"),
            [DOG],
            Complaint("cat", "missing", 1, 0),
            "expected cat>=1, found 0",
        ),
        (
            grammar.counting("cat", 3),
            [CAT],
            Complaint("cat", "count", 3, 1),
            "expected cat>=3, found 1",
        ),
        (
            grammar.counting("cat", 1),
            [CAT, CAT],
            Complaint("cat", "unwanted", 2, 2),
            "expected cat<2, found 2",
        ),
        (
            grammar.colors("cat", "blue"),
            [CAT],
            Complaint("cat", "colour", "blue", ("red",)),
            "expected blue cat>=1, found 0 (red)",
        ),
        (
            grammar.position("cat", "right of", "dog"),
            [CAT, DOG],
            Complaint("cat", "position", "right of", ("left of",)),
            "expected cat right of target, found left of",
        ),
    ],
)
def test_the_rule_says_what_and_how(
    prompt: Prompt, boxes: list[Box], complaint: Complaint, english: str
) -> None:
    verdict = decide(prompt, boxes)
    assert verdict.complaints == (complaint,)
    assert verdict.reason == str(complaint) == english


def test_what_has_no_target() -> None:
    missing, target = decide(grammar.position("cat", "above", "dog"), [CAT]).complaints
    assert (missing.kind, target.kind) == ("missing", "target")
    assert str(target) == "no target for cat to be above"


def test_json_has_both_and_words_alone_are_read() -> None:
    verdict = decide(grammar.colors("cat", "blue"), [CAT])
    row = json.loads(verdict.model_dump_json())
    assert row["reason"] == verdict.reason
    assert row["complaints"] == [
        {"clause": "cat", "kind": "colour", "wanted": "blue", "seen": ["red"]}
    ]
    assert Verdict.model_validate(row) == verdict
    del row["complaints"]  # as folders of earlier versions have it
    old = Verdict.model_validate(row)
    assert old.reason == verdict.reason
    assert [complaint.kind for complaint in old.complaints] == ["other"]
    with pytest.raises(ValueError, match="reason"):
        Verdict.model_validate({"score": 1.0, "correct": True, "reason": 3})


class Finds:
    """A judge that sees the same boxes in every image."""

    def __init__(self, *boxes: Box) -> None:
        self.boxes = boxes

    def describe(self) -> dict[str, object]:
        return {"id": "finds"}

    def judge(self, images: list[Image.Image], prompts: list[Prompt]) -> list[Verdict]:
        return [decide(prompt, self.boxes) for prompt in prompts]


def test_of_several_judges_each_keeps_its_own() -> None:
    prompt = grammar.two_object("cat", "dog")
    ensemble = make_ensemble(["a", "b"], [Finds(), Finds(CAT)], rule="minimum")
    (verdict,) = ensemble.judge([Image.new("RGB", (8, 8))], [prompt])
    assert verdict.reason == (
        "a: expected cat>=1, found 0\nexpected dog>=1, found 0\nb: expected dog>=1, found 0"
    )
    assert [(one.clause, one.kind) for one in verdict.complaints] == [
        ("a", "member"),
        ("b", "member"),
    ]
    assert [part.clause for one in verdict.complaints for part in one.parts()] == [
        *("cat", "dog"),
        "dog",
    ]
    assert Verdict.model_validate_json(verdict.model_dump_json()) == verdict
    assert FrameJudge(ensemble).judge([Image.new("RGB", (8, 8))], [prompt]) == [verdict]


def test_the_table_counts_images_by_tag_and_kind() -> None:
    two = grammar.two_object("cat", "dog")
    judged = [
        (grammar.colors("cat", "blue"), decide(grammar.colors("cat", "blue"), [CAT])),
        (two, decide(two, [])),  # two complaints of one kind: one image
        (two, decide(two, [CAT])),
        (two, decide(two, [CAT, DOG])),
        (two, failed_verdict("cut", {})),
        (plain_text("a b"), Verdict(score=0.1, correct=False, complaints=in_words("dull " * 20))),
    ]
    rows = count_complaints(judged)
    assert [(row["tag"], row["kind"], row["images"]) for row in rows] == [
        ("colors", "colour", 1),
        ("two_object", "missing", 2),
        ("text", "other", 1),
    ]
    assert rows[1]["share"] == pytest.approx(2 / 3)  # the failure is none of them
    assert rows[1]["example"] == "expected cat>=1, found 0"
    assert rows[1]["prompt"] == two.text
    assert json.loads(json.dumps(rows)) == rows
    lines = complaint_lines(rows)
    assert lines[3] == "two_object      missing          2   66.7%  expected cat>=1, found 0"
    assert lines[4].endswith("...")
    assert max(map(len, lines)) == 80


def test_nothing_to_complain_of_is_no_table() -> None:
    cat = grammar.single_object("cat")
    assert count_complaints([(cat, decide(cat, [CAT]))]) == []
    assert complaint_lines([]) == []
