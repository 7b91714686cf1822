"""Two VBench evaluations, paired by clip. P prompts, R resamples.

The prompt is the unit that is resampled, with all its clips and dimensions at once, within those
prompts that are judged in the same dimensions (Efron & Tibshirani 1993, chapter 8). Where there is
but one such prompt it is resampled with those of the largest group (collapsed strata: Cochran 1977,
section 5A.12). A dimension of one prompt has no interval.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sipo.geneval.statistics import Floats, Interval, is_clear, quantiles, resamples, said
from sipo.geneval.vbench.score_files import Dimension, read_results
from sipo.geneval.vbench.scores import COMPOSITES, QUALITY, SEMANTIC, combine, normalise

Sums = dict[str, Floats]
"""Prompt -> (sum of a, sum of b, clips), normalised."""


def compare_vbench(a: Path, b: Path) -> dict[str, Any]:
    """The gain of `b` over `a` over the clips that both have, normalised: `dimensions`, and

    `quality`, `semantic`, `total` where all sixteen are there; each with `a`, `b`, `difference`
    (b - a), `interval` (95 %; None of one prompt) and `clear`. `pairs` and `dropped` count scores
    of clips.
    Raises ValueError where the two have nothing in common.
    """
    first, second = read_results([a]), read_results([b])
    names = [name for name in QUALITY | SEMANTIC if first.keys() & second.keys() & {name}]
    sums = {name: _sums(name, first[name], second[name]) for name in names}
    sums = {name: prompts for name, prompts in sums.items() if prompts}
    if not sums:
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} have no clip of a dimension in common; evaluate both on "
            "VBench's list, and give the files with the scores per clip"
        )
    totals = {name: sum(prompts.values(), np.zeros(3)) for name, prompts in sums.items()}
    means = [{name: float(t[side] / t[2]) for name, t in totals.items()} for side in (0, 1)]
    draws, prompts = _draws(sums), {name: len(own) for name, own in sums.items()}
    if sums.keys() == (QUALITY | SEMANTIC).keys():
        means = [each | combine(each) for each in means]
        draws |= combine(draws)
        prompts |= dict.fromkeys(COMPOSITES, min(prompts.values()))
    rows = {
        name: _row(means[0][name], means[1][name], drawn, prompts[name])
        for name, drawn in draws.items()
    }
    composites = {name: rows.pop(name) for name in COMPOSITES if name in rows}
    pairs = sum(int(t[2]) for t in totals.values())
    clips = sum(len(d.clips) for found in (first, second) for d in found.values())
    return {**composites, "dimensions": rows, "pairs": pairs, "dropped": clips - 2 * pairs}


def _sums(name: str, a: Dimension, b: Dimension) -> Sums:
    """Clips are "{prompt}-{i}.mp4"."""
    sums: Sums = {}
    for clip in sorted(a.clips.keys() & b.clips.keys()):
        values = [normalise(name, each.clips[clip]) for each in (a, b)]
        prompt = clip.rpartition("-")[0]
        sums[prompt] = sums.get(prompt, np.zeros(3)) + np.array([*values, 1.0])
    return sums


def _draws(sums: dict[str, Sums]) -> dict[str, Floats]:
    """Dimension -> (R,) differences b - a of means."""
    rng = np.random.default_rng(0)
    drawn: dict[str, Floats] = {}
    nothing = np.zeros(3)
    for prompts in _strata(sums):
        weights = resamples(len(prompts), rng)
        for name in sums:
            table = np.array([sums[name].get(prompt, nothing) for prompt in prompts])  # (P, 3)
            drawn[name] = drawn.get(name, 0.0) + weights @ table
    with np.errstate(invalid="ignore"):  # a draw without a clip of the dimension: nan
        return {name: (drawn[name][:, 1] - drawn[name][:, 0]) / drawn[name][:, 2] for name in sums}


def _strata(sums: dict[str, Sums]) -> list[list[str]]:
    """Prompts that are judged in the same dimensions; one that is alone joins the largest."""
    strata: dict[tuple[str, ...], list[str]] = {}
    for prompt in sorted({prompt for prompts in sums.values() for prompt in prompts}):
        names = tuple(name for name, prompts in sums.items() if prompt in prompts)
        strata.setdefault(names, []).append(prompt)
    largest, *others = sorted(strata.values(), key=len, reverse=True)
    alone = [prompt for prompts in others if len(prompts) == 1 for prompt in prompts]
    return [largest + alone, *(prompts for prompts in others if len(prompts) > 1)]


def _row(a: float, b: float, draws: Floats, prompts: int) -> dict[str, Any]:
    interval: Interval | None = quantiles(draws[np.isfinite(draws)]) if prompts > 1 else None
    return {
        "a": a,
        "b": b,
        "difference": b - a,
        **said(interval),
        "clear": is_clear(interval, prompts),
    }
