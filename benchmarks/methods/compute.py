"""Overall against CPU minutes of training, of the runs at a constant rate that are looked at."""

from __future__ import annotations

from itertools import pairwise
from statistics import median

from arms import STEPS, TABLES_RATE, rated
from results import BASE, Results

from sipo.pages.chart_kinds import Point

MINUTES = 8.0
"""Of the area: by then what collapses has."""


def constant(method: str, rate: float = TABLES_RATE) -> str:
    return f"{method}, constant {rate:g}"


def step_s(results: Results, method: str) -> float | None:
    """CPU seconds of a step, of the method's runs that are not looked at; None where there is no
    such run."""
    runs = results.arms.get(rated(method, TABLES_RATE), {})
    return median(run["cpu_s"] for run in runs.values()) / STEPS if runs else None


def curve(results: Results, name: str, seed: str, seconds: float) -> list[Point]:
    """(CPU minutes, Overall on validation) of the base and of every look."""
    known = seed if seed in results.seeds(BASE) else results.seeds(BASE)[0]
    start = results.overall(BASE, "validation", int(known))
    looks = results.arms[name][seed]["looks"]
    return [(0.0, start), *((step * seconds / 60, overall) for step, overall, _ in looks)]


def area(points: list[Point], minutes: float = MINUTES) -> float:
    """The mean of Overall over the first `minutes`: what a run that ended came to stands on."""
    ends = [*points, (max(minutes, points[-1][0]), points[-1][1])]
    total = 0.0
    for (x0, y0), (x1, y1) in pairwise(ends):
        until = min(x1, minutes)
        if until > x0:
            at_end = y0 + (y1 - y0) * (until - x0) / (x1 - x0)
            total += (until - x0) * (y0 + at_end) / 2
    return total / minutes
