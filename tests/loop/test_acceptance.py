"""Which rounds are kept, and where the loop stands afterwards."""

from __future__ import annotations

import pytest

from sipo.common.statistics import Difference
from sipo.loop.acceptance import Decision, verdict
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.course import Course


def change(difference: float, half: float = 0.05) -> Difference:
    low, high = difference - half, difference + half
    clear = not low <= 0 <= high
    return Difference(
        a=0.5, b=0.5 + difference, difference=difference, interval=(low, high), clear=clear
    )


def decision(difference: float, tolerance: float = 0.02) -> Decision:
    changed = change(difference)
    accepted, reason = verdict(changed, BASE, tolerance)
    return Decision(accepted=accepted, over=0, difference=changed, reason=reason)


@pytest.mark.parametrize(
    ("difference", "half", "tolerance", "accepted", "reason"),
    [
        (0.10, 0.05, 0.02, True, "clearly above round 1"),
        (-0.10, 0.05, 0.02, False, "clearly below round 1"),
        (-0.10, 0.05, 0.2, False, "clearly below round 1"),  # whatever is tolerated
        (-0.01, 0.05, 0.02, True, "not clearly other than round 1"),
        (-0.01, 0.005, 0.02, False, "clearly below round 1"),
        (-0.03, 0.05, 0.02, False, "more than 0.02 below round 1"),
        (0.10, 0.05, -0.2, False, "not 0.2 above round 1"),
    ],
)
def test_a_round_is_kept_unless_it_is_below(
    difference: float, half: float, tolerance: float, accepted: bool, reason: str
) -> None:
    said = verdict(change(difference, half), Attempt(1), tolerance)
    assert said == (accepted, reason)


def test_a_rejected_round_is_trained_again_and_then_skipped() -> None:
    kept = Course().after(Attempt(1), decision(0.1), gained=True)
    assert (kept.best, kept.now, kept.idle) == (Attempt(1), Attempt(1), 0)
    lower = kept.after(Attempt(2), decision(-0.01), gained=False)  # within the tolerance
    assert (lower.best, lower.now, lower.idle) == (Attempt(1), Attempt(2), 1)
    once = lower.after(Attempt(3), decision(-0.1), gained=False)
    assert (once.best, once.now, once.idle) == (Attempt(1), Attempt(2), 1)
    twice = once.after(Attempt(3, 2), decision(-0.1), gained=False)
    assert (twice.best, twice.now, twice.idle) == (Attempt(1), Attempt(1), 2)  # back to the best
    assert twice.accepted == [BASE, Attempt(1), Attempt(2)]
    mended = once.after(Attempt(3, 2), decision(0.01), gained=False)
    assert (mended.best, mended.now) == (Attempt(3, 2), Attempt(3, 2))


def test_small_gains_that_are_clear_together_end_the_waiting() -> None:
    course = Course().after(Attempt(1), decision(0.03), gained=False)
    assert (course.mark, course.idle) == (BASE, 1)
    course = course.after(Attempt(2), decision(0.03), gained=True)  # over the base
    assert (course.mark, course.idle) == (Attempt(2), 0)
