"""The table that `sipo-loop` prints when it is done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sipo.common.statistics import Difference
from sipo.feedback.prompts.prompt import TAGS

if TYPE_CHECKING:
    from sipo.loop.summary import LoopSummary, RoundSummary

_SHORT = ("single", "two", "count", "colors", "posit.", "attr.")


def rounds_table(result: LoopSummary) -> str:
    """A line a round: overall with its gain over round 0, tags, judge's overall, pairs, minutes."""
    names = [
        (tag, short)
        for tag, short in zip(TAGS, _SHORT, strict=True)
        if tag in result.rounds[0].tags
    ]
    head = "".join(f"{short:>8}" for _, short in names)
    lines = [
        f"round{'overall':>9}{'gain (95% interval)':>26}{head}{'judge':>8}{'pairs':>8}{'min':>7}"
    ]
    for entry in result.rounds:
        tags = "".join(f"{entry.tags[tag]:>8.3f}" for tag, _ in names)
        pairs = "-" if entry.pairs is None else str(entry.pairs)
        lines.append(
            f"{entry.round:>5}{entry.overall:>9.3f}{_gain(entry.gain):>26}{tags}"
            f"{entry.judge_overall:>8.3f}{pairs:>8}{entry.minutes:>7.1f}"
        )
    return "\n".join(lines)


def _gain(gain: Difference | None) -> str:
    if gain is None:
        return "-"
    if gain.interval is None:
        return f"{gain.difference:+.3f} (no interval)"
    low, high = gain.interval
    return f"{gain.difference:+.3f} ({low:+.3f} to {high:+.3f})"


def training_warnings(rounds: Sequence[RoundSummary]) -> list[str]:
    """What training warned of, by round; each cause once a round."""
    return [f"round {entry.round}, {warning}" for entry in rounds for warning in entry.warnings]
