"""A verdict for people: sentences, marks in the prompt, boxes with what is right and wrong."""

from __future__ import annotations

import pytest

from sipo.feedback.explained.drawn_boxes import drawn_boxes
from sipo.feedback.explained.marked_prompt import marked_prompt
from sipo.feedback.explained.plain_words import in_plain_words
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt, plain_text
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.feedback.rule.complaint import Complaint, in_words
from sipo.feedback.rule.verdict import Verdict, decide

LEFT, RIGHT, BELOW = (0, 0, 10, 10), (50, 0, 60, 10), (0, 50, 10, 60)


def box(name: str, xyxy: Xyxy = LEFT, color: str | None = None, score: float = 0.9) -> Box:
    return Box(name, score, xyxy, color)


def told(prompt: Prompt, verdict: Verdict) -> tuple[str, list[str], list[tuple[str, str]]]:
    """The prompt with [marks], sentences, boxes."""
    marks = marked_prompt(prompt, verdict.complaints)
    text = "".join(f"[{piece.text}]" if piece.failed else piece.text for piece in marks)
    drawn = drawn_boxes(prompt, verdict.boxes, verdict.complaints)
    sentences = in_plain_words(prompt, verdict.complaints)
    return text, sentences, [(one.label, one.state) for one in drawn]


CASES = [
    (
        grammar.two_object("dog", "bus"),
        [box("bus")],
        "a photo of [a dog] and a bus",
        "no dog is seen",
        [("bus .90", "good")],
    ),
    (
        grammar.counting("bus", 2),
        [box("bus"), box("bus", RIGHT, score=0.8), box("bus", BELOW, score=0.7)],
        "a photo of [two buses]",
        "three buses seen, two at most asked",
        [("bus .90", "good"), ("bus .80", "good"), ("bus .70", "bad")],
    ),
    (
        grammar.counting("dog", 3),
        [box("dog")],
        "a photo of [three dogs]",
        "one dog seen, three asked",
        [("dog .90", "good")],
    ),
    (
        grammar.colors("car", "red"),
        [box("car", color="unknown")],
        "a photo of [a red car]",
        "the car is of no colour that is known, red is asked",
        [("unknown car .90", "bad")],
    ),
    (
        grammar.color_attr("dog", "red", "dog", "blue"),
        [box("dog", color="blue"), box("dog", RIGHT, "green", 1)],
        "a photo of [a red dog] and a blue dog",
        "the dog is green, red is asked",
        [("green dog 1.00", "bad"), ("blue dog .90", "good")],
    ),
    (
        grammar.position("cat", "left of", "dog"),
        [box("cat", RIGHT), box("dog", LEFT), box("tree")],
        "a photo of a cat [left of] a dog",
        "the cat is to the right of the dog, left of it is asked",
        [("dog .90", "good"), ("cat .90", "bad")],
    ),
    (grammar.single_object("cat"), [box("cat")], "a photo of a cat", "", [("cat .90", "good")]),
]


@pytest.mark.parametrize(("prompt", "boxes", "text", "sentence", "drawn"), CASES)
def test_what_a_detector_says(
    prompt: Prompt, boxes: list[Box], text: str, sentence: str, drawn: list[tuple[str, str]]
) -> None:
    assert told(prompt, decide(prompt, boxes)) == (text, [sentence] if sentence else [], drawn)


def test_what_is_placed_by_something_missing() -> None:
    prompt = grammar.position("cat", "above", "dog")
    text, sentences, _ = told(prompt, decide(prompt, [box("cat")]))
    assert text == "a photo of a cat [above] [a dog]"
    assert sentences == [
        "no dog is seen",
        "the cat cannot be above the dog, which is missing or wrong",
    ]


def test_what_other_judges_say() -> None:
    prompt, score = plain_text("a (strange] dog"), Complaint("clip", "score", 0.3, 0.25)
    asked = Complaint("Is it a dog?", "question", "yes", 0.2)
    members = Complaint("vlm", "member", "", (asked, *in_words("no")))
    verdict = Verdict(score=0.1, correct=False, complaints=(score, members), boxes=(box("dog"),))
    text, sentences, drawn = told(prompt, verdict)
    assert (text, drawn) == (prompt.text, [])
    assert sentences == [
        "clip gives 0.25, under 0.3",
        "vlm: “Is it a dog?” should be answered yes; the judge is 20% sure of that",
        "vlm: no",
    ]
