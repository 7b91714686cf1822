"""Accuracies, their intervals, and paired differences. P prompts of a tag, R resamples.

The prompt is the unit that is resampled: images of one prompt are not independent. Intervals are
95 % percentile bootstraps, stratified by tag (Efron & Tibshirani 1993, chapters 8 and 13). One
prompt says nothing of how far another would differ: a tag of one prompt has no interval, and
neither has an overall that such a tag is part of, for it would be too narrow by what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from sipo.feedback.prompts.prompt import Tag
from sipo.geneval.results import ImageResult

RESAMPLES = 10_000
LEVEL = 0.95
OVERALL = "overall"
FEWEST = 6
"""Prompts that a clear difference takes: five that all point one way are chance in 2 / 2^5 = 6 %
of cases (the sign test), and a bootstrap of them would still leave out 0."""

Interval = tuple[float, float]
Floats = NDArray[np.float64]
Tally = dict[str, dict[str, tuple[int, int]]]
"""tag -> prompt (its row as JSON) -> (correct images, judged images)."""


def tally(rows: Iterable[ImageResult]) -> Tally:
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


def intervals(counts: Tally) -> dict[str, Interval | None]:
    """Per tag and `overall`: the 95 % interval of the accuracy; None where there is none."""
    rng = np.random.default_rng(0)
    draws = {}
    for tag, prompts in counts.items():
        table = np.array(list(prompts.values()), dtype=np.float64)  # (P, 2)
        draws[tag] = _accuracy(resamples(len(table), rng), table)
    return _bounds(draws, lonely_tags(counts))


def paired_intervals(a: Tally, b: Tally) -> dict[str, Interval | None]:
    """Per tag and `overall`: the 95 % interval of b - a, both resampled by the same prompts.

    `a` and `b` hold the same tags and prompts. None where there is no interval.
    """
    rng = np.random.default_rng(0)
    draws = {}
    for tag, prompts in a.items():
        before = np.array(list(prompts.values()), dtype=np.float64)
        after = np.array([b[tag][prompt] for prompt in prompts], dtype=np.float64)
        weights = resamples(len(before), rng)
        draws[tag] = _accuracy(weights, after) - _accuracy(weights, before)
    return _bounds(draws, lonely_tags(a))


def lonely_tags(counts: Tally) -> tuple[str, ...]:
    """The tags of which there is one prompt."""
    return tuple(tag for tag, prompts in counts.items() if len(prompts) == 1)


def mean_interval(groups: Sequence[Sequence[float]]) -> tuple[float, Interval | None]:
    """The mean of all values and its 95 % interval; a group holds what belongs to one prompt.

    One group has no interval.
    """
    table = np.array([(sum(values), len(values)) for values in groups], dtype=np.float64)  # (P, 2)
    mean = float(table[:, 0].sum() / table[:, 1].sum())
    if len(table) == 1:
        return mean, None
    return mean, quantiles(_accuracy(resamples(len(table), np.random.default_rng(0)), table))


def said(interval: Interval | None, lonely: Sequence[str] = ()) -> dict[str, Any]:
    """As JSON: `interval`, which is null where there is none, and then `no_interval`, why."""
    if interval is not None:
        return {"interval": list(interval)}
    where = f"{', '.join(lonely)}: one prompt" if lonely else "one prompt"
    return {"interval": None, "no_interval": f"{where}, which says nothing of others"}


def is_clear(interval: Interval | None, prompts: int, chance: float = 0.0) -> bool:
    """Whether it is told from chance: the interval leaves that out, of `FEWEST` prompts or more."""
    return interval is not None and prompts >= FEWEST and not interval[0] <= chance <= interval[1]


def resamples(prompts: int, rng: np.random.Generator) -> Floats:
    """(R, P): how often each prompt is drawn when P are drawn with replacement."""
    return rng.multinomial(prompts, [1 / prompts] * prompts, size=RESAMPLES).astype(np.float64)


def _accuracy(weights: Floats, table: Floats) -> Floats:
    """(R, P) weights and (P, 2) counts -> (R,) shares of correct images."""
    correct, images = (weights @ table).T
    share: Floats = correct / images
    return share


def _bounds(draws: Mapping[str, Floats], lonely: Sequence[str]) -> dict[str, Interval | None]:
    """(R,) per tag -> bounds per tag and of the unweighted mean over tags."""
    bounds = {tag: None if tag in lonely else quantiles(drawn) for tag, drawn in draws.items()}
    mean = np.mean(list(draws.values()), axis=0)
    return bounds | {OVERALL: None if lonely else quantiles(mean)}


def quantiles(draws: Floats) -> Interval:
    """(R,) -> the bounds of the 95 % percentile interval."""
    tail = (1 - LEVEL) / 2
    return float(np.quantile(draws, tail)), float(np.quantile(draws, 1 - tail))
