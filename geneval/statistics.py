"""Accuracies, their intervals, and paired differences. P prompts of a tag, R resamples.

The prompt is the unit that is resampled: images of one prompt are not independent. Intervals are
95 % percentile bootstraps, stratified by tag (Efron & Tibshirani 1993, chapters 8 and 13).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from sipo.feedback.prompt import Tag
from sipo.geneval.rows import Row

RESAMPLES = 10_000
LEVEL = 0.95
OVERALL = "overall"

Floats = NDArray[np.float64]
Tally = dict[str, dict[str, tuple[int, int]]]
"""tag -> prompt (its row as JSON) -> (correct images, judged images)."""


def tally(rows: Iterable[Row]) -> Tally:
    """Tags in GenEval's order; prompts sorted, so that equal sets give equal intervals."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        correct, images = counts.get((row.tag, row.metadata), (0, 0))
        counts[row.tag, row.metadata] = (correct + row.correct, images + 1)
    by_tag: Tally = {}
    tags = get_args(Tag)
    for tag, prompt in sorted(counts, key=lambda key: (tags.index(key[0]), key[1])):
        by_tag.setdefault(tag, {})[prompt] = counts[tag, prompt]
    return by_tag


def accuracies(counts: Tally) -> dict[str, float]:
    """Per tag the share of correct images, and `overall`, the unweighted mean over tags."""
    tags = {
        tag: sum(c for c, _ in prompts.values()) / sum(n for _, n in prompts.values())
        for tag, prompts in counts.items()
    }
    return tags | {OVERALL: sum(tags.values()) / len(tags)}


def intervals(counts: Tally) -> dict[str, tuple[float, float]]:
    """Per tag and `overall`: the 95 % interval of the accuracy."""
    rng = np.random.default_rng(0)
    draws = {}
    for tag, prompts in counts.items():
        table = np.array(list(prompts.values()), dtype=np.float64)  # (P, 2)
        draws[tag] = _accuracy(resamples(len(table), rng), table)
    return _bounds(draws)


def paired_intervals(a: Tally, b: Tally) -> dict[str, tuple[float, float]]:
    """Per tag and `overall`: the 95 % interval of b - a, both resampled by the same prompts.

    `a` and `b` hold the same tags and prompts.
    """
    rng = np.random.default_rng(0)
    draws = {}
    for tag, prompts in a.items():
        before = np.array(list(prompts.values()), dtype=np.float64)
        after = np.array([b[tag][prompt] for prompt in prompts], dtype=np.float64)
        weights = resamples(len(before), rng)
        draws[tag] = _accuracy(weights, after) - _accuracy(weights, before)
    return _bounds(draws)


def mean_interval(groups: Sequence[Sequence[float]]) -> tuple[float, tuple[float, float]]:
    """The mean of all values and its 95 % interval; a group holds what belongs to one prompt."""
    table = np.array([(sum(values), len(values)) for values in groups], dtype=np.float64)  # (P, 2)
    draws = _accuracy(resamples(len(table), np.random.default_rng(0)), table)
    mean = float(table[:, 0].sum() / table[:, 1].sum())
    return mean, quantiles(draws)


def resamples(prompts: int, rng: np.random.Generator) -> Floats:
    """(R, P): how often each prompt is drawn when P are drawn with replacement."""
    return rng.multinomial(prompts, [1 / prompts] * prompts, size=RESAMPLES).astype(np.float64)


def _accuracy(weights: Floats, table: Floats) -> Floats:
    """(R, P) weights and (P, 2) counts -> (R,) shares of correct images."""
    correct, images = (weights @ table).T
    share: Floats = correct / images
    return share


def _bounds(draws: Mapping[str, Floats]) -> dict[str, tuple[float, float]]:
    """(R,) per tag -> bounds per tag and of the unweighted mean over tags."""
    mean = np.mean(list(draws.values()), axis=0)
    return {name: quantiles(values) for name, values in [*draws.items(), (OVERALL, mean)]}


def quantiles(draws: Floats) -> tuple[float, float]:
    """(R,) -> the bounds of the 95 % percentile interval."""
    tail = (1 - LEVEL) / 2
    return float(np.quantile(draws, tail)), float(np.quantile(draws, 1 - tail))
