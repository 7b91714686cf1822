"""Official rows are judged as officially; what the official rule cannot judge is judged rightly."""

from __future__ import annotations

import itertools
import random
import time
from collections import Counter
from typing import Any

import pytest
from official_rule import detected, evaluate

from sipo.feedback.prompts.geneval_prompts import geneval_suite
from sipo.feedback.prompts.prompt import COLORS, Prompt, prompt_of
from sipo.feedback.rule.assignment import assign, targets_first
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict, decide


def row(
    *include: dict[str, Any], exclude: tuple[dict[str, Any], ...] = (), tag: str = "two_object"
) -> Prompt:
    asked = {"tag": tag, "include": include, "exclude": exclude, "prompt": "a photo"}
    return prompt_of(asked, "row")


def clause(name: str = "dog", count: int = 1, **own: Any) -> dict[str, Any]:
    return {"class": name, "count": count, **own}


def box(
    left: float, name: str = "dog", color: str | None = None, score: float = 0.9, top: float = 0
) -> Box:
    return Box(name, score, (left, top, left + 10, top + 10), color)


def random_boxes(prompt: Prompt, chance: random.Random) -> list[Box]:
    """Mostly what is asked, and things that disturb."""
    colors = [c.color for c in prompt.include if c.color] or [None]
    boxes = []
    for asked in prompt.include:
        for _ in range(max(0, asked.count + chance.choice((-1, 0, 0, 0, 1, 15)))):
            color = chance.choice([asked.color, asked.color, *colors, chance.choice(COLORS)])
            x, y = chance.uniform(0, 90), chance.uniform(0, 90)
            size = chance.uniform(5, 30)
            xyxy = (x, y, x + size, y + size)
            boxes.append(Box(asked.class_name, chance.random(), xyxy, color))
    return [*boxes, box(50, "zeppelin")]


def test_official_rows_are_judged_as_officially() -> None:
    """All 553, each on eight random images; both answers occur often in every task."""
    chance = random.Random(0)
    seen: Counter[tuple[str, bool]] = Counter()
    for prompt, _ in itertools.product(geneval_suite(), range(8)):
        boxes = random_boxes(prompt, chance)
        officially = evaluate(detected(boxes), prompt.to_row())
        assert decide(prompt, boxes).correct == officially, (prompt.text, boxes)
        seen[prompt.tag, officially] += 1
    assert len(seen) == 12
    assert min(seen.values()) > 30


RED_AND_BLUE = row(clause(color="red"), clause(color="blue"))


@pytest.mark.parametrize(
    ("boxes", "reason"),
    [
        ([box(0, color="red"), box(20, color="blue")], ""),
        ([box(0, color="red", score=0.5), box(20, color="blue")], ""),
        ([box(0, color="red"), box(20, color="red", score=0.8), box(40, color="blue")], ""),
        ([box(0, color="red"), box(20, color="red")], "expected blue dog>=1, found 0 (red)"),
        ([box(0, color="red")], "expected dog>=2, found 1"),
        ([], "expected dog>=2, found 0"),
    ],
)
def test_clauses_of_one_class_share_its_boxes(boxes: list[Box], reason: str) -> None:
    for order in itertools.permutations(boxes):
        verdict = decide(RED_AND_BLUE, order)
        assert (verdict.correct, verdict.reason) == (not reason, reason)


def test_no_box_is_counted_twice() -> None:
    red_and_any = row(clause(color="red"), clause(count=2))
    assert not decide(red_and_any, [box(0, color="red"), box(20)]).correct
    assert decide(red_and_any, [box(0, score=0.3, color="red"), box(20), box(40)]).correct
    surest_is_red = [box(0, color="red"), box(20, color="red", score=0.8), box(40, score=0.7)]
    mine = assign(red_and_any, {"dog": surest_is_red})
    assert mine == [surest_is_red[:1], surest_is_red[1:]]


def test_places_among_one_class() -> None:
    """A dog left of a dog, and a red one left of a blue one."""
    beside = row(clause(), clause(position=["left of", 0]))
    assert decide(beside, [box(0), box(40)]).correct
    assert not decide(beside, [box(0), box(0, top=40, score=0.8)]).correct
    colored = row(clause(color="red", position=["left of", 1]), clause(color="blue"))
    red_left, blue_left = (
        [box(0, color=a, score=0.5), box(40, color=b)]
        for a, b in (("red", "blue"), ("blue", "red"))
    )
    assert decide(colored, red_left).correct
    assert decide(colored, blue_left).reason == "expected dog left of target, found right of"
    assert decide(colored, [*blue_left, box(80, color="blue", score=0.1)]).correct


def test_a_shared_class_beside_another() -> None:
    """The red dog is the one left of the cat; the other may be anywhere."""
    prompt = row(clause("cat"), clause(color="red", position=["left of", 0]), clause(count=2))
    dogs = [box(80, color="red"), box(0, color="red", score=0.4), box(90, score=0.3)]
    assert decide(prompt, [box(40, "cat"), *dogs]).correct
    assert not decide(prompt, [box(-50, "cat"), *dogs]).correct


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_position_by_any_other_clause(order: tuple[int, ...]) -> None:
    """The cat left of the dog left of the bus, whichever clause is written first."""
    place = {number: order.index(number) for number in range(3)}
    clauses = [
        clause("cat", position=["left of", place[1]]),
        clause("dog", position=["left of", place[2]]),
        clause("bus"),
    ]
    prompt = row(*(clauses[number] for number in order))
    assert decide(prompt, [box(0, "cat"), box(30, "dog"), box(60, "bus")]).correct
    swapped = decide(prompt, [box(30, "cat"), box(0, "dog"), box(60, "bus")])
    assert swapped.reason == "expected cat left of target, found right of"
    lost = decide(prompt, [box(30, "cat"), box(0, "dog")])
    assert set(lost.reason.split("\n")) == {
        "expected bus>=1, found 0",
        "no target for dog to be left of",
        "no target for cat to be left of",
    }
    names = [prompt.include[number].class_name for number in targets_first(prompt.include)]
    assert names == ["bus", "dog", "cat"]


def test_two_that_are_placed_by_each_other() -> None:
    prompt = row(clause("cat", position=["left of", 1]), clause("dog", position=["right of", 0]))
    assert decide(prompt, [box(0, "cat"), box(40, "dog")]).correct
    assert not decide(prompt, [box(40, "cat"), box(0, "dog")]).correct


@pytest.mark.parametrize(
    ("asked", "drawn"), [(16, 16), (16, 30), (16, 17), (20, 20), (20, 21), (40, 39)]
)
def test_large_counts(asked: int, drawn: int) -> None:
    prompt = row(clause(count=asked), exclude=(clause(count=asked + 1),), tag="counting")
    verdict = decide(prompt, [box(20.0 * i) for i in range(drawn)])
    assert verdict.correct == (asked == drawn)


def test_twice_as_many_as_asked_earn_nothing() -> None:
    prompt = row(clause(count=20), exclude=(clause(count=21),), tag="counting")
    scores = [
        decide(prompt, [box(20.0 * i) for i in range(n)]).score or 0 for n in (20, 25, 39, 60)
    ]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] < 0.1


def test_an_excluded_color_is_that_color_s() -> None:
    prompt = row(clause("cat"), exclude=(clause(color="red"),))
    assert decide(prompt, [box(0, "cat"), box(20, color="blue")]).correct
    red = decide(prompt, [box(0, "cat"), box(20, color="red")])
    assert red.reason == "expected red dog<1, found 1"


def brute(prompt: Prompt, boxes: list[Box]) -> bool:
    """Every way to give each clause its own boxes of a shared class, tried."""
    dogs = [b for b in boxes if b.class_name == "dog"]
    slots = [i for i, c in enumerate(prompt.include) for _ in range(c.count)]
    for chosen in itertools.permutations(dogs, len(slots)):
        mine = [[b for b, s in zip(chosen, slots, strict=True) if s == i] for i in set(slots)]
        if all(
            (not c.color or all(b.color == c.color for b in own))
            and (
                not c.position
                or all(
                    c.position[0] in relations_of(a, b) for a in own for b in mine[c.position[1]]
                )
            )
            for c, own in zip(prompt.include, mine, strict=True)
        ):
            return True
    return False


def relations_of(a: Box, b: Box) -> set[str]:
    from official_rule import relative_position

    return relative_position(a, b)


@pytest.mark.parametrize(
    "prompt",
    [
        RED_AND_BLUE,
        row(clause(color="red"), clause(count=2), clause(color="blue")),
        row(clause(position=["above", 1]), clause(count=2, color="red")),
        row(clause(color="red", position=["left of", 2]), clause(), clause(position=["below", 1])),
    ],
)
def test_assignments_are_exact(prompt: Prompt) -> None:
    chance = random.Random(1)
    answers = []
    for _ in range(150):
        boxes = [
            Box("dog", chance.random(), (x, y, x + 9, y + 9), chance.choice(("red", "blue", None)))
            for x, y in ((chance.uniform(0, 60), chance.uniform(0, 60)) for _ in range(5))
        ]
        answers.append(brute(prompt, boxes))
        assert decide(prompt, boxes).correct == answers[-1]
    assert 10 < sum(answers) < 140


def test_correct_images_lead_and_the_same_boxes_give_the_same_verdict() -> None:
    chance = random.Random(2)
    prompts = [
        row(clause(color="red", position=["left of", 1]), clause(color="blue"), clause("cat")),
        row(clause(count=2, color="red"), clause(color="blue"), exclude=(clause(count=4),)),
    ]
    for prompt in prompts:
        verdicts: list[Verdict] = []
        for _ in range(300):
            boxes = random_boxes(prompt, chance)
            verdicts.append(decide(prompt, boxes))
            assert decide(prompt, boxes[::-1]) == verdicts[-1]
        right = [v.score or 0 for v in verdicts if v.correct]
        wrong = [v.score or 0 for v in verdicts if not v.correct]
        assert 0 <= min(wrong) <= max(wrong) < min(right) <= max(right) <= 1


def test_the_search_is_short_where_nothing_fits() -> None:
    """Eight dogs in pairs, each pair above the next, among sixteen in a row."""
    placed = [clause(count=2, position=["above", i + 1]) for i in range(3)]
    started = time.perf_counter()
    assert not decide(row(*placed, clause(count=2)), [box(12.0 * i) for i in range(16)]).correct
    apart = [clause(count=2, position=["left of", 1]), clause(count=2)]
    apart += [clause(count=2, position=["above", 3]), clause(count=2)]
    assert not decide(row(*apart), [box(12.0 * i) for i in range(16)]).correct
    assert time.perf_counter() - started < 10
