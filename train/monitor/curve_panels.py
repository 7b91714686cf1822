"""The charts of `sipo-train plot`: over the pairs that a run has seen, and over timesteps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import fmean
from typing import Literal

from sipo.pages.chart_kinds import SERIES, Cells, Chart, Line, Mark, Picture, Point, binned
from sipo.train.monitor.log_rows import Row
from sipo.train.monitor.metrics import BINS
from sipo.train.monitor.panels import (
    LOOKS,
    LOSER,
    NAMES,
    PANELS,
    WHOLE,
    WINNER,
    Quantity,
    Seen,
    value,
)

POINTS = 100  # of a curve; a noisy log made readable
COLUMNS = 30  # of a heat map
MOST_MAPPED = 3  # runs that have heat maps
SEEN = "pairs seen"
TIMESTEP = "timestep (0 clean, 1 all noise)"
OF_SIDES = {WINNER: "good", LOSER: "bad"}
Logs = Mapping[str, Sequence[Row]]
"""Run -> the rows of its log."""

ByTimestep = Literal["w_by_t", "keep_by_t", "psi_w_by_t", "psi_l_by_t"]
REWARDS: tuple[tuple[str, ByTimestep], ...] = ((WINNER, "psi_w_by_t"), (LOSER, "psi_l_by_t"))


def over_time(logs: Logs, marks: Sequence[Mark]) -> Iterator[Chart]:
    """A chart a panel, those of validation last where any run has it."""
    for panel in PANELS:
        sides = [NAMES[quantity] for quantity in panel.of] if len(panel.of) > 1 else [""]
        lines = [
            _line(name, side, points, own, logs, dashed=side != sides[0])
            for name, rows, own in _colored(logs)
            for side, quantity in zip(sides, panel.of, strict=True)
            if (points := binned(_points(rows, quantity), POINTS))
        ]
        if lines:
            yield Chart(
                *(lines, SEEN, _title(panel.title, sides, logs), panel.reading),
                levels=panel.levels, marks=marks, y_range=panel.y_range,
            )  # fmt: skip
    for look in LOOKS:
        seen = [Line(name, _looks(rows, look.of), own) for name, rows, own in _colored(logs)]
        if lines := [line for line in seen if line.points]:
            yield Chart(lines, SEEN, look.title, look.reading, marks=marks)


def over_timesteps(logs: Logs, border: float | None) -> Iterator[Picture]:
    """`border` is the weight below which pairs are left out, where all runs have the same."""
    borders = (border,) if border is not None else ()
    yield from _profile(
        *(logs, "w_by_t", "Importance weight w(t)"),
        "The mean of the whole run. Where w is low, the policy's own steps no longer resemble the "
        "data's; below the line a pair is left out.",
        borders,
    )
    yield from _profile(
        *(logs, "keep_by_t", "Pairs kept by timestep"),
        "The mean of the whole run: what the weights leave to learn from.",
        y_range=WHOLE,
    )
    last = {name: rows[-max(1, len(rows) // 4) :] for name, rows in logs.items()}
    sides = _both_sides(last)
    if sides:
        yield Chart(
            *(sides, TIMESTEP, _title("Rewards by timestep, last quarter", (WINNER, LOSER), logs)),
            "Where in denoising winners have gained and losers lost.",
            levels=(0,),
            shares=True,
        )
    if len(logs) > MOST_MAPPED:
        return
    for name, rows in logs.items():
        of = f" of {name}" if len(logs) > 1 else ""
        for side, quantity in REWARDS:
            if cells := _cells(rows, quantity):
                yield Cells(
                    *(cells[0], cells[1], _bin_names(), SEEN, "timestep"),
                    f"Reward of {side} by timestep{of}",
                    "Time runs to the right, noise upwards; the deeper the colour, the further "
                    "from 0. Empty where no pair fell.",
                )


def _line(run: str, side: str, points: Sequence[Point], own: str, logs: Logs, dashed: bool) -> Line:
    """Of one run it has the side's name and colour; of several each run is in the legend once."""
    if not side:
        return Line(run, points, own)
    if len(logs) == 1:
        return Line(side, points, OF_SIDES.get(side, own), dashed=dashed)
    return Line(f"{run}, {side}", points, own, dashed=dashed, legend=run)


def _title(title: str, sides: Sequence[str], logs: Logs) -> str:
    """With what the legend does not say of several runs."""
    return f"{title} ({sides[1]} dashed)" if len(sides) > 1 and len(logs) > 1 else title


def _colored(logs: Logs) -> Iterator[tuple[str, Sequence[Row], str]]:
    for place, (name, rows) in enumerate(logs.items()):
        yield name, rows, SERIES[place % len(SERIES)]


def _points(rows: Sequence[Row], quantity: Quantity) -> list[Point]:
    return [(row["pairs_seen"], y) for row in rows if (y := value(row, quantity)) is not None]


def _looks(rows: Sequence[Row], seen: Seen) -> list[Point]:
    """Those that saw it."""
    looks = [(row["pairs_seen"], row["validation"]) for row in rows if "validation" in row]
    return [(pairs, found) for pairs, look in looks if (found := look.get(seen)) is not None]


def _profile(
    logs: Logs,
    of: ByTimestep,
    title: str,
    reading: str,
    levels: Sequence[float] = (),
    y_range: tuple[float, float] | None = None,
) -> Iterator[Chart]:
    lines = [
        Line(name, points, own)
        for name, rows, own in _colored(logs)
        if (points := _by_timestep(rows, of))
    ]
    if lines:
        said = title, reading
        yield Chart(lines, TIMESTEP, *said, levels=levels, y_range=y_range, shares=True)


def _both_sides(logs: Logs) -> list[Line]:
    found = []
    for name, rows, own in _colored(logs):
        winner, loser = _by_timestep(rows, "psi_w_by_t"), _by_timestep(rows, "psi_l_by_t")
        if winner:
            found += [
                _line(name, WINNER, winner, own, logs, dashed=False),
                _line(name, LOSER, loser, own, logs, dashed=True),
            ]
    return found


def _by_timestep(rows: Sequence[Row], of: ByTimestep) -> list[Point]:
    """Means over the rows that saw a bin, in the middle of the bin."""
    columns = zip(*(row[of] for row in rows if of in row), strict=True)
    seen = [[each for each in column if each is not None] for column in columns]
    return [((place + 0.5) / BINS, fmean(each)) for place, each in enumerate(seen) if each]


def _cells(
    rows: Sequence[Row], of: ByTimestep
) -> tuple[list[list[float | None]], list[float]] | None:
    """By bin and by run of rows the mean of what there is, and the pairs at each run's end."""
    known = [row for row in rows if of in row]
    if not known:
        return None
    count = min(COLUMNS, len(known))
    edges = [place * len(known) // count for place in range(count + 1)]
    parts = [known[low:high] for low, high in pairwise(edges)]
    means = [dict(_by_timestep(part, of)) for part in parts]
    values = [[mean.get((place + 0.5) / BINS) for mean in means] for place in range(BINS)]
    return values, [part[-1]["pairs_seen"] for part in parts]


def _bin_names() -> list[str]:
    return [f"{place / BINS:g}–{(place + 1) / BINS:g}" for place in range(BINS)]
