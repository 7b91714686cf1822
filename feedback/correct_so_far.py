"""What a bar says of verdicts while they come."""

from __future__ import annotations

from collections.abc import Callable

from sipo.common.bars import Bar, numbers
from sipo.feedback.rule.verdict import Verdict


def correct_so_far(shown: Bar) -> Callable[[Verdict], None]:
    """Counts one piece a verdict, and keeps the share of those that are right beside the bar."""
    judged = correct = 0

    def track(verdict: Verdict) -> None:
        nonlocal judged, correct
        if not verdict.failed:
            judged, correct = judged + 1, correct + verdict.correct
            numbers(shown, correct=f"{correct / judged:.2f}")
        shown.update()

    return track
