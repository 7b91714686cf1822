"""Line charts by matplotlib: as PNG files, and as SVG in a page, whose colours are the page's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from sipo.pages.html import COLORS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

SERIES = ("c1", "c2", "c3", "c4", "c5", "c6", "ink")
"""Colours that are told apart, by their names in html.py."""

_DOTS = 10  # up to so many points are marked each

_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_ID = re.compile(r' id="[\w.]+_\d+"')
"""Of a part of the figure, as every figure has it; what is referred to has a hash for a name."""

Point = tuple[float, float]


class Line(NamedTuple):
    name: str
    points: Sequence[Point]
    color: str = "ink"
    width: float = 1.2
    dashed: bool = False


@dataclass(frozen=True)
class Chart:
    """`borders` are x, `levels` y of lines that part or compare. X are counts: whole numbers."""

    lines: Sequence[Line]
    x_label: str
    title: str = ""
    borders: Sequence[float] = ()
    levels: Sequence[float] = ()
    y_range: tuple[float, float] | None = None


def svg(chart: Chart, label: str) -> Markup:
    """To stand in a page of base.html; `label` is what a screen reader says."""
    text = StringIO()
    with _settings():
        _draw([chart], 1, (4.0, 3.0)).savefig(text, format="svg", metadata=_NO_METADATA)
    found = _ID.sub("", text.getvalue())
    for name, (light, _) in COLORS.items():
        found = found.replace(light, f"var(--{name})")
    start = found.index("<svg") + len("<svg")
    return Markup(f'<svg role="img" aria-label="{escape(label)}"{found[start:]}')


def write_png(charts: Sequence[Chart], path: Path, columns: int = 1) -> None:
    """All charts as one picture, each 4.3 by 3.2 inches of 110 pixels."""
    from sipo.common.files.writing import atomic

    with _settings(), atomic(path) as file:
        figure = _draw(charts, columns, (4.3, 3.2))
        figure.set_facecolor(COLORS["card"][0])
        figure.savefig(file, format="png")


def binned(points: Sequence[Point], bins: int = 80) -> list[Point]:
    """Means of at most `bins` runs of points, in order: a noisy log made readable."""
    size = -(-len(points) // bins)
    groups = [points[start : start + size] for start in range(0, len(points), size or 1)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _settings() -> AbstractContextManager[None]:
    from matplotlib import rc_context

    return rc_context(
        {
            "font.size": 9,
            "figure.constrained_layout.h_pad": 0.1,
            "figure.constrained_layout.w_pad": 0.1,
            "legend.frameon": False,
            "legend.labelcolor": COLORS["soft"][0],
            "savefig.dpi": 110,
            "svg.fonttype": "none",  # text stays text
            "svg.hashsalt": "sipo",  # the same chart is the same bytes
            "text.parse_math": False,  # a "$" in a name is one
        }
    )


def _draw(charts: Sequence[Chart], columns: int, inches: tuple[float, float]) -> Figure:
    from matplotlib.figure import Figure

    rows = -(-len(charts) // columns)
    figure = Figure((inches[0] * columns, inches[1] * rows), layout="constrained", facecolor="none")
    grid: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(charts) :]:
        axes.set_axis_off()
    by_name: dict[str, Line2D] = {}
    for axes, chart in zip(grid, charts, strict=False):
        _fill(axes, chart)
        by_name |= {line.name: drawn for line, drawn in zip(chart.lines, axes.lines, strict=False)}
    figure.legend(list(by_name.values()), list(by_name), loc="outside lower center", ncols=3)
    return figure


def _fill(axes: Axes, chart: Chart) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    rule, soft = COLORS["rule"][0], COLORS["soft"][0]
    for line in chart.lines:
        axes.plot(
            [x for x, _ in line.points],
            [y for _, y in line.points],
            color=COLORS[line.color][0],
            linewidth=line.width,
            linestyle="--" if line.dashed else "-",
            marker="o" if len(line.points) <= _DOTS else "",
            markersize=3,
        )
    for x in chart.borders:
        axes.axvline(x, color=soft, linewidth=0.8, linestyle=":")
    for y in chart.levels:
        axes.axhline(y, color=soft, linewidth=0.8, linestyle="--" if y else "-")
    axes.set_title(chart.title, fontsize=10, color=COLORS["ink"][0])
    axes.set_xlabel(chart.x_label, color=soft)
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.locator_params(axis="y", nbins=6)
    axes.set_facecolor("none")
    axes.grid(axis="y", color=rule, linewidth=0.8)
    axes.tick_params(colors=soft, length=0)
    axes.spines[:].set_visible(False)
    if chart.y_range:
        axes.set_ylim(*chart.y_range)
