"""The tables that `sipo-loop` prints when it is done."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sipo.common.statistics import Difference
from sipo.feedback.prompts.prompt import TAGS

if TYPE_CHECKING:
    from sipo.loop.result import LoopSummary, RoundSummary

_SHORT = dict(zip(TAGS, ("single", "two", "count", "colors", "posit.", "attr."), strict=True))


def rounds_table(result: LoopSummary) -> str:
    """A line a training, and of the test: overall with its gain over the base, tags, images without
    any object; of a training also the judge's overall, pairs, minutes and what became of it.
    """
    kept = max(len(became(result, entry)) for entry in result.attempts)
    head = _head("round", result.rounds[0].tags)
    quality = list(result.rounds[0].quality.shown)
    head += "".join(f"{name:>8}" for name in quality)
    lines = [f"{head}{'judge':>8}{'pairs':>8}{'min':>7}  {'kept':{kept}}"]
    for entry in result.attempts:
        pairs = "-" if entry.pairs is None else str(entry.pairs)
        seen = "".join(f"{entry.quality.shown.get(name, '-'):>8}" for name in quality)
        lines.append(
            f"{_scores(entry.round, entry.overall, entry.gain, entry.tags, entry.empty_share)}"
            f"{seen}{entry.judge_overall:>8.3f}{pairs:>8}{entry.minutes:>7.1f}"
            f"  {became(result, entry):{kept}}"
        )
    return "\n".join(lines)


def table_of_test(result: LoopSummary) -> str:
    """The same columns for the prompts that no choice has looked at."""
    lines = [_head(" test", result.test[0].tags)]
    for entry in result.test:
        lines.append(_scores(entry.round, entry.overall, entry.gain, entry.tags, entry.empty_share))
    return "\n".join(lines)


def _head(name: str, tags: Iterable[str]) -> str:
    shorts = "".join(f"{_SHORT.get(tag, tag):>8}" for tag in tags)
    return f"{name}{'overall':>9}{'gain (95% interval)':>26}{shorts}{'empty':>8}"


def _scores(
    number: int, overall: float, gain: Difference | None, tags: Mapping[str, float], empty: float
) -> str:
    accuracies = "".join(f"{accuracy:>8.3f}" for accuracy in tags.values())
    return f"{number:>5}{overall:>9.3f}{_gain(gain):>26}{accuracies}{empty:>8.1%}"


def became(result: LoopSummary, entry: RoundSummary) -> str:
    """In a word: what a training is to the loop."""
    if not entry.accepted:
        return "no"
    if entry.round == result.best:
        return "best"
    return "yes" if entry.round else "base"


def _gain(gain: Difference | None) -> str:
    if gain is None:
        return "-"
    if gain.interval is None:
        return f"{gain.difference:+.3f} (no interval)"
    low, high = gain.interval
    return f"{gain.difference:+.3f} ({low:+.3f} to {high:+.3f})"


def training_warnings(result: LoopSummary) -> list[str]:
    """What training warned of, by round; each cause once a round. Then what became of no use."""
    warned = [f"{entry.name}, {word}" for entry in result.attempts for word in entry.warnings]
    return warned + [f"{lost.name} ended: {lost.reason}" for lost in result.lost]
