"""Means, their 95 % intervals, and paired differences. P units of a stratum, R resamples.

The unit that is resampled is the prompt: images of one prompt are not independent. Strata are the
tags; an overall is their unweighted mean. Intervals are percentile bootstraps, stratified (Efron &
Tibshirani 1993, chapters 8 and 13). One unit says nothing of how far another would differ: of one
there is no interval, and none of an overall that such a stratum is part of, for it would be too
narrow by what is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from sipo.common.records import Record

RESAMPLES = 10_000
LEVEL = 0.95
OVERALL = "overall"
FEWEST = 6
"""Units that a clear difference takes: five that all point one way are chance in 2 / 2^5 = 6 % of
cases (the sign test), and a bootstrap of them would still leave out 0."""

Interval = tuple[float, float]
Floats = NDArray[np.float64]
Units = Mapping[str, tuple[float, float]]
"""Unit -> (sum of its values, how many there are)."""
Tally = Mapping[str, Units]
"""Stratum -> its units."""


class Estimate(Record):
    """A mean. `interval` is None where there is none, and then `no_interval` says why."""

    value: float
    interval: Interval | None
    no_interval: str | None = None


class Difference(Record):
    """`difference` is b - a; `clear`: its interval leaves out 0, of `FEWEST` units or more."""

    a: float
    b: float
    difference: float
    interval: Interval | None
    no_interval: str | None = None
    clear: bool


class PairedMeans(Record):
    """Of values in pairs: means, `difference` b - a, and how often b wins over a, ties half."""

    a: float
    b: float
    difference: Estimate
    win_rate: Estimate
    pairs: int
    prompts: int
    dropped: int | None = None  # values that only one side has


class IntervalFields(TypedDict):
    interval: Interval | None
    no_interval: NotRequired[str]


def means(tally: Tally) -> dict[str, float]:
    """Per stratum the mean of all values, and `overall`, the unweighted mean over strata."""
    strata = {
        name: sum(total for total, _ in units.values()) / sum(n for _, n in units.values())
        for name, units in tally.items()
    }
    return strata | {OVERALL: sum(strata.values()) / len(strata)}


def intervals(tally: Tally) -> dict[str, Interval | None]:
    """Per stratum and `overall`: the 95 % interval of the mean; None where there is none."""
    rng = np.random.default_rng(0)
    draws = {}
    for name, units in tally.items():
        table = np.array(list(units.values()), dtype=np.float64)  # (P, 2)
        draws[name] = _means(resamples(len(table), rng), table)
    return _bounds(draws, lonely(tally))


def differences(a: Tally, b: Tally) -> dict[str, Difference]:
    """Per stratum and `overall`, both sides resampled by the same units.

    `a` and `b` hold the same strata and units.
    """
    before, after, bounds = means(a), means(b), paired_intervals(a, b)
    units = {name: len(stratum) for name, stratum in a.items()}
    units[OVERALL] = sum(units.values())
    return {
        name: Difference(
            a=before[name],
            b=after[name],
            difference=after[name] - before[name],
            **interval_fields(bounds[name], lonely(a) if name == OVERALL else ()),
            clear=is_clear(bounds[name], units[name]),
        )
        for name in before
    }


def paired_intervals(a: Tally, b: Tally) -> dict[str, Interval | None]:
    """Per stratum and `overall`: the 95 % interval of b - a; see `differences`."""
    rng = np.random.default_rng(0)
    draws = {}
    for name, units in a.items():
        before = np.array(list(units.values()), dtype=np.float64)
        after = np.array([b[name][unit] for unit in units], dtype=np.float64)
        weights = resamples(len(before), rng)
        draws[name] = _means(weights, after) - _means(weights, before)
    return _bounds(draws, lonely(a))


def estimate(values: Iterable[tuple[str, float]]) -> Estimate:
    """The mean of all values, each given with its unit; one unit has no interval."""
    return estimates((unit, (value,)) for unit, value in values)[0]


def estimates(rows: Iterable[tuple[str, Sequence[float]]]) -> list[Estimate]:
    """As `estimate`, column by column of rows of K values, all by the same resamples."""
    by_unit: dict[str, list[Sequence[float]]] = {}
    for unit, values in rows:
        by_unit.setdefault(unit, []).append(values)
    groups = [by_unit[unit] for unit in sorted(by_unit)]
    sums = np.array([[sum(column) for column in zip(*group, strict=True)] for group in groups])
    counts = np.array([len(group) for group in groups], dtype=np.float64)
    tables = [np.stack([column, counts], axis=1) for column in sums.T]  # K of (P, 2)
    means = [float(table[:, 0].sum() / table[:, 1].sum()) for table in tables]
    if len(groups) == 1:
        return [Estimate(value=mean, **interval_fields(None)) for mean in means]
    weights = resamples(len(groups), np.random.default_rng(0))
    bounds = [quantiles(_means(weights, table)) for table in tables]
    return [
        Estimate(value=mean, **interval_fields(found))
        for mean, found in zip(means, bounds, strict=True)
    ]


def paired_means(
    units: Sequence[str], a: Sequence[float], b: Sequence[float], *, higher_wins: bool = True
) -> PairedMeans:
    """Of values in parallel, each pair with its unit."""
    gaps = [after - before for before, after in zip(a, b, strict=True)]
    wins = [0.5 if gap == 0 else float((gap > 0) == higher_wins) for gap in gaps]
    return PairedMeans(
        a=fmean(a),
        b=fmean(b),
        difference=estimate(zip(units, gaps, strict=True)),
        win_rate=estimate(zip(units, wins, strict=True)),
        pairs=len(units),
        prompts=len(set(units)),
    )


def lonely(tally: Tally) -> tuple[str, ...]:
    """The strata of which there is one unit."""
    return tuple(name for name, units in tally.items() if len(units) == 1)


def interval_fields(interval: Interval | None, lonely: Sequence[str] = ()) -> IntervalFields:
    """`interval`, and where there is none `no_interval`: why, by the strata of one unit."""
    if interval is not None:
        return {"interval": interval}
    where = f"{', '.join(lonely)}: one prompt" if lonely else "one prompt"
    return {"interval": None, "no_interval": f"{where}, which says nothing of others"}


def is_clear(interval: Interval | None, units: int, chance: float = 0.0) -> bool:
    """Whether it is told from chance: the interval leaves that out, of `FEWEST` units or more."""
    return interval is not None and units >= FEWEST and not interval[0] <= chance <= interval[1]


def resamples(units: int, rng: np.random.Generator) -> Floats:
    """(R, P): how often each unit is drawn when P are drawn with replacement."""
    return rng.multinomial(units, [1 / units] * units, size=RESAMPLES).astype(np.float64)


def quantiles(draws: Floats) -> Interval:
    """(R,) -> the bounds of the 95 % percentile interval."""
    tail = (1 - LEVEL) / 2
    return float(np.quantile(draws, tail)), float(np.quantile(draws, 1 - tail))


def _means(weights: Floats, table: Floats) -> Floats:
    """(R, P) weights and (P, 2) sums and counts -> (R,) means."""
    total, count = (weights @ table).T
    mean: Floats = total / count
    return mean


def _bounds(draws: Mapping[str, Floats], lonely: Sequence[str]) -> dict[str, Interval | None]:
    """(R,) per stratum -> bounds per stratum and of the unweighted mean over strata."""
    bounds = {name: None if name in lonely else quantiles(drawn) for name, drawn in draws.items()}
    mean = np.mean(list(draws.values()), axis=0)
    return bounds | {OVERALL: None if lonely else quantiles(mean)}
