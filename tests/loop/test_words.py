"""The sentences of a loop never contradict its curves: both are taken from courses made by hand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from courses import BASE, course, entry

from sipo.loop.curves import charts, gain_chart, score_chart
from sipo.loop.result import LoopSummary
from sipo.loop.words import headline, sentence_of_test

LOST = {"accepted": False, "reason": "clearly below round 1"}
SKIPPED = entry(2, 0.4, attempt=2, rejected=[entry(2, 0.35, **LOST)], **LOST)
COURSES = {
    "rises": course(entry(1, 0.6), entry(2, 0.7), entry(3, 0.8), best=3),
    "falls after its best": course(entry(1, 0.8), entry(2, 0.79), entry(3, 0.785), best=1),
    "falls at once": course(entry(1, 0.49), entry(2, 0.48), best=0),
    "ties with the base": course(entry(1, BASE), best=0),
    "ties with its best": course(entry(1, 0.7), entry(2, 0.7), best=1),
    "ties as it is shown": course(entry(1, 0.7002), entry(2, 0.7001), best=1),
    "stands still": course(entry(1, 0.51), best=1),
    "a round is skipped": course(entry(1, 0.7), SKIPPED, entry(3, 0.75), best=3),
    "the last round is skipped": course(entry(1, 0.7), SKIPPED, best=1),
    "trained again": course(entry(1, 0.7, attempt=2, rejected=[entry(1, 0.3, **LOST)]), best=1),
    "all are rejected": course(entry(1, 0.3, attempt=2, **LOST), SKIPPED, best=0),
    "interrupted before a round": course(best=0, tested=False),
    "interrupted on the way": course(entry(1, 0.7), entry(2, 0.69), best=1, tested=False),
    "interrupted between trainings": course(
        entry(1, 0.7), entry(2, 0.4, **LOST), best=1, tested=False
    ),
    "tested before it goes on": course(entry(1, 0.7), entry(2, 0.8), best=2).model_copy(
        update={"test": course(entry(1, 0.7), best=1).test}
    ),
}


@pytest.mark.parametrize("result", COURSES.values(), ids=COURSES)
def test_what_is_said_is_what_is_drawn(result: LoopSummary) -> None:
    said, lines = headline(result), {line.name: line for line in score_chart(result).lines}
    curve = {int(x): y for x, y in lines["validation"].points}
    assert lines["validation"].band == [each.interval for each in result.accepted]
    highest = max(curve.values())

    if found := re.search(r"went from (\S+) to (\S+) in", said):
        assert found.groups() == (f"{curve[0]:.3f}", f"{highest:.3f}")
        assert highest > curve[0]
    else:
        assert highest == curve[0]  # "no round is above the base", or none is done
    for number, verb, overall in re.findall(
        r"Round (\d+), .*? is (below|no higher) at (\S+)\.", said
    ):
        assert f"{curve[int(number)]:.3f}" == overall
        assert int(number) == max(curve)
        shown = float(overall) < round(highest, 3)
        assert shown == (verb == "below")
    for number in map(int, re.findall(r"(?:ends with|its best is) round (\d+)", said)):
        assert curve[number] == highest
    if "ends with the base" in said:
        assert highest == curve[0]
    for how, numbers in re.findall(
        r"(Rejected and skipped|Rejected, to be trained again): ([^.]+)", said
    ):
        for number in map(int, re.findall(r"\d+", numbers)):
            assert number not in curve
            trained = next(e.attempt for e in result.rounds if e.round == number)
            assert (trained == 2) == (how == "Rejected and skipped")
            assert number in {int(x) for x, _ in lines["rejected"].points}
    if max(curve) != result.best and max(curve):
        assert f"Round {max(curve)}, the last that was kept" in said


@pytest.mark.parametrize("result", COURSES.values(), ids=COURSES)
def test_the_test_is_said_once_it_is_there(result: LoopSummary) -> None:
    said = sentence_of_test(result)
    tested = {entry.round: entry.overall for entry in result.test}
    if {0, result.best} <= tested.keys():
        assert f"{tested[0]:.3f}" in said
        assert f"{tested[result.best]:.3f}" in said
        assert "ends with" in headline(result) or len(result.rounds) <= 2
        assert "So far" not in headline(result)
    else:
        assert "still to come" in said
        assert "ends with" not in headline(result)


def test_some_courses_in_full() -> None:
    assert headline(COURSES["falls after its best"]) == (
        "Overall went from 0.500 to 0.800 in 3 rounds and 8 minutes, with round 1: a clear gain "
        "(+0.300, 95% interval +0.250 to +0.350). Round 3, the last that was kept, is below at "
        "0.785. The loop ends with round 1, its best."
    )
    assert headline(COURSES["all are rejected"]) == (
        "No round of 2 is above the base in Overall, which scores 0.500, after 8 minutes. The loop "
        "ends with the base. Rejected and skipped: round 1, round 2."
    )
    assert headline(COURSES["rises"], goes_on=True).endswith("So far its best is round 3.")
    assert headline(COURSES["interrupted between trainings"]).endswith(
        "So far its best is round 1. Rejected, to be trained again: round 2."
    )
    assert headline(COURSES["stands still"]) == (
        "Overall went from 0.500 to 0.510 in 1 round and 4 minutes: no clear change (+0.010, 95% "
        "interval -0.040 to +0.060)."
    )


def test_the_headline_does_not_say_more_than_the_figures_beside_it() -> None:
    """An interval shown from +0.000 is no clear gain; what training warned of is said with it."""
    assert "no clear change (+0.050, 95% interval +0.000 to" in headline(
        course(entry(1, 0.55, 0.0496), best=1)
    )
    warned = headline(course(entry(1, 0.6, warnings=["step 50: z is saturated"]), best=1))
    assert "a clear gain" in warned
    assert warned.endswith(
        "Training warned of 1 thing, below: look at the images before you use it."
    )


def test_judges_part_where_their_gains_do() -> None:
    chart = gain_chart(course(entry(1, 0.5, judge_overall=0.8), best=0))
    assert chart
    assert [line.points[-1][1] for line in chart.lines] == [0.0, pytest.approx(0.3)]
    assert gain_chart(course(best=0)) is None


def test_every_chart_has_a_title_and_how_to_read_it() -> None:
    made = list(charts(Path("nowhere"), COURSES["a round is skipped"]))
    assert [chart.title for chart in made] == [
        "Overall by round",
        "Right images by task",
        "Judge against evaluator",
    ]
    assert all(chart.reading.endswith(".") for chart in made)
