"""`sipo-geneval report`: one or several evaluations as a page that stands alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sipo.common.files.names_apart import names_apart
from sipo.common.files.writing import write_text
from sipo.geneval.comparison.gain_words import gain_in_words
from sipo.geneval.comparison.paired import compare
from sipo.geneval.evaluation_folder import read_summary
from sipo.geneval.looking.chosen_prompts import groups, shared_prompts
from sipo.geneval.looking.judged_rows import Judged, read_judged
from sipo.geneval.looking.prompt_cards import fitting_side_px, prompt_card
from sipo.geneval.looking.shown_evaluations import (
    Shown,
    Summary,
    complaints_table,
    gains_table,
    pictures_table,
    tags_chart,
)
from sipo.pages.charts import drawn
from sipo.pages.html import render
from sipo.pages.same_prompts import PromptCard


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
    side_px = fitting_side_px(judged, [prompt for group in chosen for prompt in group.prompts])
    names = [one.name for one in shown]
    page = render(
        Path(__file__).with_name("evaluation_page.html"),
        title=f"sipo-geneval: {', '.join(names)}",
        shown=shown,
        names=names,
        sentences=_sentences(shown),
        tags=drawn(tags_chart(shown)),
        gains=gains_table(shown),
        complaints=complaints_table(shown),
        pictures=pictures_table(shown),
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


def _cards(judged: Sequence[Judged], prompts: Sequence[str], side_px: int) -> list[PromptCard]:
    return [prompt_card(judged, prompt, side_px) for prompt in prompts]
