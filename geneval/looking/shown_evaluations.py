"""Evaluations beside each other in figures: by task, gains, complaints, how pictures are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sipo.common.statistics import Difference
from sipo.feedback.complaint_table import ComplaintCount
from sipo.feedback.rule.complaint import Kind
from sipo.geneval.comparison.paired import Comparison
from sipo.geneval.looking.judged_rows import Judged, example
from sipo.geneval.summary import Accuracies, EvaluationConfig
from sipo.pages.chart_kinds import SERIES, Dots, Intervals, Table

KINDS: Mapping[Kind, str] = {
    "missing": "not there at all",
    "count": "too few",
    "colour": "another colour",
    "position": "another place",
    "target": "nothing to be placed by",
    "unwanted": "too many",
    "question": "answered wrongly",
    "score": "score too low",
    "text": "text not there",
    "other": "in the judge's words",
    "member": "one of several judges",
}
"""Of complaints, as the table says them."""


class Summary(EvaluationConfig, Accuracies):
    """Of summary.json what the page says."""


@dataclass(frozen=True)
class Shown:
    """An evaluation, and its gain over the first; `apart` is why it cannot be compared with it."""

    judged: Judged
    summary: Summary
    gain: Comparison | None = None
    apart: str = ""

    @property
    def name(self) -> str:
        return self.judged.name

    @property
    def images(self) -> int:
        return sum(tag.images for tag in self.summary.tags.values())


def tags_chart(shown: Sequence[Shown]) -> Intervals:
    tags = list(dict.fromkeys(tag for one in shown for tag in one.summary.tags))
    series = []
    for place, one in enumerate(shown):
        there = [one.summary.tags.get(tag) for tag in tags]
        values = [each.accuracy if each else None for each in there]
        bounds = [each.interval if each else None for each in there]
        own = [*values, one.summary.overall], [*bounds, one.summary.interval]
        series.append(Dots(one.name, *own, SERIES[place % len(SERIES)]))
    return Intervals(
        [*(tag.replace("_", " ") for tag in tags), "overall"],
        series,
        "share of images that show what is asked",
        "Right images by task",
        "Points are shares of images, bars their 95% intervals, bootstrapped over prompts; overall "
        "is the mean over tasks."
        + " Bars that overlap may still differ clearly: the gains below are paired by prompt."
        * (len(shown) > 1),
    )


def gains_table(shown: Sequence[Shown]) -> Table | None:
    """Over the first, by task; None where there is none."""
    compared = [(one, one.gain) for one in shown if one.gain]
    if not compared:
        return None
    rows = [
        [tag.replace("_", " "), *(_gain(gain.tags[tag]) for _, gain in compared)]
        for tag in compared[0][1].tags
    ]
    overall = ["overall", *(_gain(gain.overall) for _, gain in compared)]
    return Table(["over " + shown[0].name, *(one.name for one, _ in compared)], [*rows, overall])


def _gain(gain: Difference) -> str:
    if gain.interval is None:
        return f"{gain.difference:+.3f} (no interval)"
    low, high = gain.interval
    return f"{gain.difference:+.3f} ({low:+.3f} to {high:+.3f}){' *' * gain.clear}"


def complaints_table(shown: Sequence[Shown]) -> Table | None:
    """By task and kind the share of images that are complained of, the commonest of the last
    first."""
    found = [_keys(one) for one in shown]
    keys = dict.fromkeys(key for one in reversed(found) for key in one)
    if not keys:
        return None
    by_share = sorted(keys, key=lambda key: -found[-1][key]["share"] if key in found[-1] else 0)
    rows = []
    for tag, kind in by_share:
        counts = [one.get((tag, kind)) for one in found]
        latest = next(one for one in reversed(shown) if (tag, kind) in _keys(one))
        rows.append(
            [
                tag.replace("_", " "),
                KINDS.get(kind, kind),
                *(f"{c['share']:.1%} ({c['images']})" if c else "none" for c in counts),
                example(latest.judged, tag, kind),
            ]
        )
    return Table(["task", "what is wrong", *(one.name for one in shown), "for example"], rows)


def _keys(one: Shown) -> dict[tuple[str, Kind], ComplaintCount]:
    return {(each["tag"], each["kind"]): each for each in one.summary.complaints}


def pictures_table(shown: Sequence[Shown]) -> Table:
    """What is said beside the shares; without a row where no evaluation says it."""
    failures = [one.summary.failures.images for one in shown]
    rows = [
        ["images without any object", *(f"{one.summary.empty_share:.1%}" for one in shown)],
        ["sharpness", *(_figure(one.summary.sharpness, 1) for one in shown)],
        [
            "confidence on single objects",
            *(_figure(one.summary.single_object_confidence, 3) for one in shown),
        ],
        ["images that the judge failed on", *(str(count or "none") for count in failures)],
    ]
    kept = [row for row in rows if any(cell != "none" for cell in row[1:])]
    return Table(["", *(one.name for one in shown)], kept)


def _figure(value: float | None, digits: int) -> str:
    return "none" if value is None else f"{value:.{digits}f}"
