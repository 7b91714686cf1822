"""Whether a round is kept: by validation, paired with the best round so far.

Two trainings on the same pairs differ, so a round is not asked for a clear gain: it is kept unless
it is clearly below, or its Overall lies further below than `tolerance`. That is by default the
spread of trainings that differ in nothing but their seed: within it, another seed might have
been the better one, and what the round learnt is worth having.
"""

from __future__ import annotations

from pathlib import Path

from sipo.common.records import Record
from sipo.common.statistics import Difference
from sipo.geneval.comparison.paired import compare
from sipo.loop.attempts import Attempt


class Decision(Record):
    """Of an attempt; `difference` is to the best round before it, `over`, on validation."""

    accepted: bool
    over: int
    difference: Difference
    reason: str  # why it was accepted or rejected


def decide(out: Path, attempt: Attempt, best: Attempt, now: Attempt, tolerance: float) -> Decision:
    """`now` is the policy that the next round would begin from without this one: no round is kept
    that is clearly below it either.
    """
    difference = gain(out, best, attempt)
    below_now = is_clearly_below(gain(out, now, attempt)) if now != best else False
    accepted, reason = verdict(difference, best, tolerance)
    if accepted and below_now:
        accepted, reason = False, f"clearly below {now}"
    return Decision(accepted=accepted, over=best.round, difference=difference, reason=reason)


def gain(out: Path, before: Attempt, after: Attempt) -> Difference:
    """Of Overall on validation, paired by prompt and seed."""
    return compare(out / before.name("eval"), out / after.name("eval")).overall


def is_clearly_below(difference: Difference) -> bool:
    return difference.clear and difference.difference < 0


def verdict(difference: Difference, best: Attempt, tolerance: float) -> tuple[bool, str]:
    """Whether it is accepted, and why."""
    if is_clearly_below(difference):
        return False, f"clearly below {best}"
    if difference.difference < -tolerance:
        asked = f"more than {tolerance:g} below" if tolerance >= 0 else f"not {-tolerance:g} above"
        return False, f"{asked} {best}"
    return True, f"{'clearly above' if difference.clear else 'not clearly other than'} {best}"
