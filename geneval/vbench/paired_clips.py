"""Two VBench evaluations, paired by clip. P prompts, R resamples.

The prompt is the unit that is resampled, with all its clips and dimensions at once, within those
prompts that are judged in the same dimensions (Efron & Tibshirani 1993, chapter 8). Where there is
but one such prompt it is resampled with those of the largest group (collapsed strata: Cochran 1977,
section 5A.12). A dimension of one prompt has no interval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sipo.common.records import Record
from sipo.common.statistics import (
    Difference,
    Floats,
    interval_fields,
    is_clear,
    quantiles,
    resamples,
)
from sipo.geneval.vbench.score_files import Dimension, read_results
from sipo.geneval.vbench.scores import COMPOSITES, QUALITY, SEMANTIC, combine, normalise


@dataclass(frozen=True)
class ClipSums:
    """Of the clips that both evaluations have: sums of their normalised scores."""

    a: float = 0.0
    b: float = 0.0
    clips: int = 0

    def __add__(self, other: ClipSums) -> ClipSums:
        return ClipSums(self.a + other.a, self.b + other.b, self.clips + other.clips)


Sums = Mapping[str, Mapping[str, ClipSums]]
"""Dimension -> prompt -> its clips."""


class VBenchComparison(Record):
    """Of normalised scores. The first three where all sixteen dimensions are there."""

    quality: Difference | None = None
    semantic: Difference | None = None
    total: Difference | None = None
    dimensions: dict[str, Difference]
    pairs: int  # scores of clips
    dropped: int  # that only one evaluation has


def compare_vbench(a: Path, b: Path) -> VBenchComparison:
    """The gain of `b` over `a` over the clips that both have.

    Raises ValueError where the two have nothing in common.
    """
    first, second = read_results([a]), read_results([b])
    names = [name for name in QUALITY | SEMANTIC if first.keys() & second.keys() & {name}]
    found = {name: _sums(name, first[name], second[name]) for name in names}
    sums = {name: prompts for name, prompts in found.items() if prompts}
    if not sums:
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} have no clip of a dimension in common; evaluate both on "
            "VBench's list, and give the files with the scores per clip"
        )
    totals = {name: sum(prompts.values(), ClipSums()) for name, prompts in sums.items()}
    before = {name: total.a / total.clips for name, total in totals.items()}
    after = {name: total.b / total.clips for name, total in totals.items()}
    draws, prompts = _draws(sums), {name: len(by_prompt) for name, by_prompt in sums.items()}
    if sums.keys() == (QUALITY | SEMANTIC).keys():
        before |= combine(before)
        after |= combine(after)
        draws |= combine(draws)
        prompts |= dict.fromkeys(COMPOSITES, min(prompts.values()))
    rows = {
        name: _row(before[name], after[name], drawn, prompts[name]) for name, drawn in draws.items()
    }
    pairs = sum(total.clips for total in totals.values())
    clips = sum(len(d.clips) for one in (first, second) for d in one.values())
    return VBenchComparison(
        **{name: rows.pop(name) for name in COMPOSITES if name in rows},
        dimensions=rows,
        pairs=pairs,
        dropped=clips - 2 * pairs,
    )


def _sums(name: str, a: Dimension, b: Dimension) -> dict[str, ClipSums]:
    """By prompt; clips are "{prompt}-{i}.mp4"."""
    sums: dict[str, ClipSums] = {}
    for clip in sorted(a.clips.keys() & b.clips.keys()):
        before, after = (normalise(name, each.clips[clip]) for each in (a, b))
        prompt = clip.rpartition("-")[0]
        sums[prompt] = sums.get(prompt, ClipSums()) + ClipSums(before, after, 1)
    return sums


def _draws(sums: Sums) -> dict[str, Floats]:
    """Dimension -> (R,) differences b - a of means; nan for a draw without a clip of it."""
    rng = np.random.default_rng(0)
    drawn: dict[str, Floats] = {}
    for prompts in _strata(sums):
        weights = resamples(len(prompts), rng)
        for name, by_prompt in sums.items():
            found = [by_prompt.get(prompt, ClipSums()) for prompt in prompts]
            table = np.array([(each.a, each.b, each.clips) for each in found])  # (P, 3)
            drawn[name] = drawn.get(name, 0.0) + weights @ table
    with np.errstate(invalid="ignore"):
        return {name: (t[:, 1] - t[:, 0]) / t[:, 2] for name, t in drawn.items()}


def _strata(sums: Sums) -> list[list[str]]:
    """Prompts that are judged in the same dimensions; one that is alone joins the largest."""
    strata: dict[tuple[str, ...], list[str]] = {}
    for prompt in sorted({prompt for prompts in sums.values() for prompt in prompts}):
        names = tuple(name for name, prompts in sums.items() if prompt in prompts)
        strata.setdefault(names, []).append(prompt)
    largest, *others = sorted(strata.values(), key=len, reverse=True)
    alone = [prompt for prompts in others if len(prompts) == 1 for prompt in prompts]
    return [largest + alone, *(prompts for prompts in others if len(prompts) > 1)]


def _row(a: float, b: float, draws: Floats, prompts: int) -> Difference:
    interval = quantiles(draws[np.isfinite(draws)]) if prompts > 1 else None
    return Difference(
        a=a,
        b=b,
        difference=b - a,
        **interval_fields(interval),
        clear=is_clear(interval, prompts),
    )
