"""`sipo-geneval report`: one or several evaluations as a page that stands alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sipo.common.files.names_apart import names_apart
from sipo.common.files.writing import write_text
from sipo.common.statistics import Difference
from sipo.feedback.complaint_table import ComplaintCount
from sipo.feedback.rule.complaint import Kind
from sipo.geneval.comparison.gain_words import gain_in_words
from sipo.geneval.comparison.paired import Comparison, compare
from sipo.geneval.evaluation_folder import read_summary
from sipo.geneval.looking.chosen_prompts import groups, shared_prompts
from sipo.geneval.looking.judged_rows import (
    Judged,
    example,
    open_picture,
    prompt_of,
    read_judged,
    version_of,
)
from sipo.geneval.summary import Accuracies, EvaluationConfig
from sipo.pages.chart_kinds import SERIES, Dots, Intervals, Table
from sipo.pages.charts import drawn
from sipo.pages.html import render
from sipo.pages.same_prompts import PromptCard, side_for
from sipo.pages.shown_pictures import show_picture

PER_PROMPT = 4  # images of a prompt that are shown
KINDS: Mapping[Kind, str] = {
    "missing": "not there at all",
    "count": "too few",
    "colour": "another colour",
    "position": "another place",
    "target": "nothing to be placed by",
    "unwanted": "too many",
    "question": "answered wrongly",
    "score": "score too low",
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


def write_page(evaluations: Sequence[Path], out: Path, most: int) -> Path:
    """The page of evaluations in the order given, `most` prompts a group, into `out`.

    Raises ValueError for what is no finished evaluation, for one given twice, and where several
    have no prompt in common.
    """
    shown = _open(evaluations)
    judged = [one.judged for one in shown]
    if not shared_prompts(judged):
        raise ValueError(
            f"{str(evaluations[0])!r} and {str(evaluations[-1])!r} have no prompt in common; give "
            "evaluations of one suite"
        )
    chosen = list(groups(judged, most))
    side_px = _side_px(judged, [prompt for group in chosen for prompt in group.prompts])
    names = [one.name for one in shown]
    page = render(
        Path(__file__).with_name("evaluation_page.html"),
        title=f"sipo-geneval: {', '.join(names)}",
        shown=shown,
        names=names,
        sentences=_sentences(shown),
        tags=drawn(_tags(shown)),
        gains=_gains(shown),
        complaints=_complaints(shown),
        pictures=_pictures(shown),
        groups=[(group, _cards(judged, group.prompts, side_px)) for group in chosen],
    )
    write_text(out, page)
    return out


def _open(evaluations: Sequence[Path]) -> list[Shown]:
    names = names_apart(evaluations)
    if len(set(names)) < len(names):
        raise ValueError("the same evaluation was given twice; give each folder once")
    shown: list[Shown] = []
    for path, name in zip(evaluations, names, strict=True):
        summary, judged = read_summary(path, Summary), read_judged(path, name)
        gain, apart = None, ""
        if shown:
            try:
                gain = compare(evaluations[0], path)
            except ValueError as error:
                apart = str(error)
        shown.append(Shown(judged, summary, gain, apart))
    return shown


def _sentences(shown: Sequence[Shown]) -> list[str]:
    """What came out; of several the last against the first."""
    first, last = shown[0], shown[-1]
    judge = first.summary.detector.get("id", "its judge")
    images = f"{first.images:,} images of {first.summary.prompts.count:,} prompts"
    if len(shown) == 1:
        return [f"Overall is {_with_interval(first.summary)}, of {images} by {judge}."]
    if last.gain is None:
        return [
            f"{one.name}: Overall is {_with_interval(one.summary)}." for one in (first, last)
        ] + [f"They are not compared: {last.apart}."]
    overall = last.gain.overall
    return [
        f"From {first.name} to {last.name} Overall went from {overall.a:.3f} to {overall.b:.3f}: "
        f"{gain_in_words(overall)}. Each is judged on {images} by {judge}."
    ]


def _with_interval(summary: Summary) -> str:
    bounds = summary.interval
    said = f"95% interval {bounds[0]:.3f} to {bounds[1]:.3f}" if bounds else "no interval"
    return f"{summary.overall:.3f} ({said})"


def _tags(shown: Sequence[Shown]) -> Intervals:
    tags = list(dict.fromkeys(tag for one in shown for tag in one.summary.tags))
    series = []
    for place, one in enumerate(shown):
        each = [one.summary.tags.get(tag) for tag in tags]
        series.append(
            Dots(
                one.name,
                [*(tag and tag.accuracy for tag in each), one.summary.overall],
                [*(tag and tag.interval for tag in each), one.summary.interval],
                SERIES[place % len(SERIES)],
            )
        )
    return Intervals(
        [*(tag.replace("_", " ") for tag in tags), "overall"],
        series,
        "share of images that show what is asked",
        "Right images by task",
        "Points are shares of images, bars their 95% intervals, bootstrapped over prompts; overall "
        "is the mean over tasks. Bars that overlap may still differ clearly: prompts are the same, "
        "and the gains below are paired by prompt.",
    )


def _gains(shown: Sequence[Shown]) -> Table | None:
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


def _complaints(shown: Sequence[Shown]) -> Table | None:
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


def _pictures(shown: Sequence[Shown]) -> Table:
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


def _cards(judged: Sequence[Judged], prompts: Sequence[str], side_px: int) -> list[PromptCard]:
    return [prompt_card(judged, prompt, side_px) for prompt in prompts]


def prompt_card(
    judged: Sequence[Judged], metadata: str, side_px: int, most: int = PER_PROMPT
) -> PromptCard:
    prompt = prompt_of(metadata)
    versions = [version_of(one, metadata, side_px, most) for one in judged]
    return PromptCard(prompt.text, prompt.tag.replace("_", " "), versions)


def _side_px(judged: Sequence[Judged], prompts: Sequence[str], most: int = PER_PROMPT) -> int:
    """The largest at which the page stays small."""
    rows = [(one, row) for p in prompts for one in judged for row in one.rows.get(p, [])[:most]]

    def sizes_at(side_px: int, count: int) -> list[int]:
        step = max(1, len(rows) // max(1, count))
        pictures = (open_picture(*pair) for pair in islice(rows, 0, None, step))
        shown = [show_picture(each, side_px, "") for each in pictures if each]
        return [len(each.uri) + len(each.poster) for each in shown]

    return side_for(sizes_at, len(rows))
