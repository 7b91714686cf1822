"""The study's picture: Overall while a method trains at a constant rate, and what each gained.

python benchmarks/methods/curves.py docs/methods/results.json docs/methods/study.png
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from arms import AT_CONSTANT_RATES, BETAS, METHODS, TABLES_RATE, at_beta
from compute import constant, curve, step_s
from results import BASE, Results
from tables import best, gain

from sipo.pages.chart_kinds import SERIES, Chart, Dots, Intervals, Line
from sipo.pages.charts import write_png

SHOWN_BY_BETA = ("sipo, anchor", "sipo, anchor, t >= 400", "sipo", "diffusion-dpo")
COLORS = dict(zip(dict.fromkeys((*AT_CONSTANT_RATES, *SHOWN_BY_BETA)), SERIES, strict=False))


def constant_rate(results: Results) -> Chart:
    return Chart(
        list(_lines(results)),
        "CPU minutes of training",
        f"Validation, constant {TABLES_RATE:g}",
    )


def _lines(results: Results) -> Iterator[Line]:
    for method in AT_CONSTANT_RATES:
        seconds, name = step_s(results, method), constant(method)
        for seed in results.seeds(name) if seconds else ():
            yield Line(method, curve(results, name, seed, seconds or 0.0), COLORS[method])


def gains(results: Results) -> Intervals:
    """On the test prompts, the best first."""
    tried = {method: best(results, method) for method in METHODS}
    found = {method: gain(results, BASE, arm) for method, arm in tried.items() if arm}
    order = sorted(found, key=lambda method: -found[method].difference)
    dots = Dots(
        "gain over the base",
        [found[method].difference for method in order],
        [found[method].interval for method in order],
    )
    return Intervals(
        order, [dots], "gain on the test prompts", "What 200 steps bring", x_range=None
    )


def by_beta(results: Results) -> Intervals:
    """On the test prompts, of the betas that were run."""
    arms = {beta: [at_beta(name, beta) for name in SHOWN_BY_BETA] for beta in BETAS}
    betas = [beta for beta, names in arms.items() if any(map(results.seeds, names))]
    series = []
    for place, name in enumerate(SHOWN_BY_BETA):
        tried = [arms[beta][place] for beta in betas]
        found = [gain(results, BASE, arm) if results.seeds(arm) else None for arm in tried]
        values = [one and one.difference for one in found]
        intervals = [one and one.interval for one in found]
        series.append(Dots(name, values, intervals, COLORS[name]))
    return Intervals(
        [f"beta {beta}" for beta in betas],
        series,
        "gain on the test prompts",
        "What beta does, 200 steps",
        x_range=None,
    )


def write(results: Results, out: Path) -> None:
    charts: list[Chart | Intervals] = [constant_rate(results), gains(results), by_beta(results)]
    write_png([chart for chart in charts if chart.table.rows], out, columns=2)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("out", type=Path)
    asked = parser.parse_args()
    write(Results(asked.results, {"images": 1}), asked.out)


if __name__ == "__main__":
    main()
