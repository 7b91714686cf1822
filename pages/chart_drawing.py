"""How each kind of chart is drawn into matplotlib's axes, and what its shapes say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from sipo.pages.chart_kinds import (
    MOST_ROWS,
    Bars,
    Cells,
    Chart,
    Intervals,
    Line,
    Picture,
    cell_text,
    dot_text,
    evenly,
    point_text,
    short,
)
from sipo.pages.html import COLORS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

_MARKED = 10  # up to so many points of a line are marked each
_FINGER = 11  # points of type that a point which can be pointed at is wide
_FAINT = 0.15  # opacity of bands
_NAMED = 6  # rows of a heat map, each with its name
_APART = 0.8  # of a name's height that its series share


@dataclass
class Told:
    """What is said of shapes that are pointed at, by the number of what holds them."""

    texts: list[Sequence[str]] = field(default_factory=list)

    def hold(self, artist: Artist, texts: Sequence[str]) -> None:
        """One text for each of the artist's shapes, in their order."""
        artist.set_gid(f"told_{len(self.texts)}")
        self.texts.append(texts)


def fill(axes: Axes, chart: Picture, told: Told) -> dict[str, Artist]:
    """Draws it; returns what the legend shows, by name."""
    match chart:
        case Chart():
            return _lines(axes, chart, told)
        case Cells():
            return _cells(axes, chart, told)
        case Intervals():
            return _intervals(axes, chart, told)
        case Bars():
            return _bars(axes, chart, told)


def _lines(axes: Axes, chart: Chart, told: Told) -> dict[str, Artist]:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    soft = COLORS["soft"][0]
    for x in chart.borders:
        axes.axvline(x, color=soft, linewidth=0.8, linestyle=":")
    for y in chart.levels:
        axes.axhline(y, color=soft, linewidth=0.8, linestyle="--" if y else "-")
    shown: dict[str, Artist] = {}
    for line in chart.lines:
        shown.setdefault(line.legend or line.name, _line(axes, line))
    for line in chart.lines:
        _pointed_at(axes, chart, line, told)
    axes.set_xlabel(chart.x_label, color=soft)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=not chart.shares))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}" if chart.shares else "{x:,.0f}"))
    axes.locator_params(axis="y", nbins=6)
    axes.ticklabel_format(axis="y", useOffset=False)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
    if chart.shares:
        axes.set_xlim(-0.02, 1.02)
    _marks(axes, chart, told)
    return shown


def _line(axes: Axes, line: Line) -> Artist:
    xs, ys = [x for x, _ in line.points], [y for _, y in line.points]
    bounded = [(x, band) for x, band in zip(xs, line.band, strict=False) if band]
    if bounded:
        axes.fill_between(
            [x for x, _ in bounded],
            [low for _, (low, _) in bounded],
            [high for _, (_, high) in bounded],
            color=COLORS[line.color][0],
            alpha=_FAINT,
            linewidth=0,
        )
    [drawn] = axes.plot(
        xs,
        ys,
        color=COLORS[line.color][0],
        linewidth=line.width,
        linestyle="--" if line.dashed else "-",
        marker="o" if len(xs) <= _MARKED else "",
        markersize=3,
    )
    return drawn


def _pointed_at(axes: Axes, chart: Chart, line: Line, told: Told) -> None:
    """What cannot be seen and is large enough to be met: some of the line's points."""
    taken = [line.points[place] for place in evenly(len(line.points), MOST_ROWS)]
    if not taken:
        return
    [drawn] = axes.plot(
        [x for x, _ in taken],
        [y for _, y in taken],
        color=COLORS[line.color][0],
        linestyle="",
        marker="o",
        markersize=_FINGER,
        markeredgewidth=0,
        alpha=0,
    )
    told.hold(drawn, [point_text(line.name, chart.x_label, point) for point in taken])


def _marks(axes: Axes, chart: Chart, told: Told) -> None:
    """Numbers at the top edge, a line down from each, and what it lasted faintly behind."""
    from matplotlib.transforms import blended_transform_factory

    top = blended_transform_factory(axes.transData, axes.transAxes)
    for mark in chart.marks:
        color = COLORS[mark.color][0]
        axes.axvspan(mark.x, max(mark.until, mark.x), color=color, alpha=_FAINT / 2, linewidth=0)
        axes.axvline(mark.x, color=color, linewidth=0.9, linestyle=(0, (4, 2)))
        axes.text(
            *(mark.x, 1.02, str(mark.number)), transform=top, color=color, ha="center", fontsize=8
        )
        [drawn] = axes.plot(
            *([mark.x], [0.98]), transform=top, marker="s", markersize=_FINGER, alpha=0,
            markeredgewidth=0, color=color, clip_on=False,
        )  # fmt: skip
        told.hold(drawn, [f"{mark.number}: {mark.text}"])


def _cells(axes: Axes, chart: Cells, told: Told) -> dict[str, Artist]:
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba
    from matplotlib.patches import Patch
    from matplotlib.ticker import StrMethodFormatter

    known = [
        (r, c, value)
        for r, row in enumerate(chart.values)
        for c, value in enumerate(row)
        if value is not None
    ]
    most = max((abs(value) for *_, value in known), default=0) or 1
    sides = list(pairwise([0.0, *chart.columns]))
    corners = [
        [(sides[c][0], r), (sides[c][1], r), (sides[c][1], r + 1), (sides[c][0], r + 1)]
        for r, c, _ in known
    ]
    colors = [to_rgba(COLORS[chart.colors[value < 0]][0], abs(value) / most) for *_, value in known]
    drawn = PolyCollection(corners, facecolors=colors, edgecolors="none", linewidths=0)
    drawn.set_antialiased(False)
    drawn.set_clip_on(False)
    axes.add_collection(drawn, autolim=False)
    told.hold(drawn, [cell_text(chart, r, c) for r, c, _ in known])
    axes.set_xlim(0, max(chart.columns, default=1))
    axes.set_ylim(0, len(chart.rows))
    named = range(0, len(chart.rows), 1 + (len(chart.rows) > _NAMED))
    axes.set_yticks([r + 0.5 for r in named], [chart.rows[r] for r in named])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="x", nbins=5)
    axes.grid(visible=False)
    axes.set_xlabel(chart.x_label, color=COLORS["soft"][0])
    axes.set_ylabel(chart.y_label, color=COLORS["soft"][0])
    names = (f"above 0, up to {short(most)}", "below 0")
    return {
        name: Patch(facecolor=COLORS[color][0])
        for name, color in zip(names, chart.colors, strict=True)
    }


def _intervals(axes: Axes, chart: Intervals, told: Told) -> dict[str, Artist]:
    step = _APART / max(1, len(chart.series))
    shown: dict[str, Artist] = {}
    for number, one in enumerate(chart.series):
        color = COLORS[one.color][0]
        down = (number - (len(chart.series) - 1) / 2) * step
        known = {place: value for place, value in enumerate(one.values) if value is not None}
        for place in known:
            if interval := one.intervals[place]:
                axes.plot(interval, [place + down] * 2, color=color, linewidth=2, alpha=0.45)
        [drawn] = axes.plot(
            *([*known.values()], [place + down for place in known]),
            color=color, linestyle="", marker="o", markersize=5,
        )  # fmt: skip
        told.hold(drawn, [dot_text(one, chart.names, place) for place in known])
        shown[one.name] = drawn
    axes.set_ylim(len(chart.names) - 0.5, -0.5)
    axes.set_yticks(range(len(chart.names)), list(chart.names))
    axes.grid(visible=False, axis="y")
    axes.grid(axis="x", color=COLORS["rule"][0], linewidth=0.8)
    for border in range(1, len(chart.names)):
        axes.axhline(border - 0.5, color=COLORS["rule"][0], linewidth=0.8)
    if chart.x_range:
        axes.set_xlim(chart.x_range[0] - 0.02, chart.x_range[1] + 0.02)
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(chart.x_label, color=COLORS["soft"][0])
    return shown


def _bars(axes: Axes, chart: Bars, told: Told) -> dict[str, Artist]:
    widths = [high - low for low, high in pairwise(chart.edges)]
    below = [0.0] * len(widths)
    shown: dict[str, Artist] = {}
    for name, counts, color in chart.series:
        drawn = axes.bar(
            *(chart.edges[:-1], counts, widths, below), align="edge", color=COLORS[color][0],
            edgecolor=COLORS["card"][0], linewidth=0.6, label=name,
        )  # fmt: skip
        for patch, (low, high), count in zip(drawn, pairwise(chart.edges), counts, strict=True):
            told.hold(patch, [f"{name}, {low:g} to {high:g}: {short(count)}"])
        below = [under + count for under, count in zip(below, counts, strict=True)]
        shown[name] = drawn[0]
    axes.set_xlabel(chart.x_label, color=COLORS["soft"][0])
    axes.locator_params(axis="y", nbins=5, integer=True)
    return shown
