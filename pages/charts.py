"""Charts by matplotlib: as PNG files, and as SVG in a page, whose colours are the page's.

SVG that is drawn beforehand serves a page best that is one file and opens anywhere, offline and for
years: a chart is 10 to 60 KB, where Vega (vega, vega-lite, vega-embed) brings 0.8 MB of JavaScript
and Plotly's smallest bundle 1.2 MB before the first point. It needs no script, so that it stands in
mail, in print and under any content security policy; its colours are the stylesheet's variables, so
that dark mode is no second drawing; its text is text, its size a viewBox, so that nothing moves
while a page loads; and matplotlib is installed already, with no build step. What is lost is zooming
and choosing of lines. Whoever points at something is told by a <title>, who does not see the chart
by its label and the table behind it (chart.html).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from html import escape
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from sipo.pages.chart_drawing import Told, fill
from sipo.pages.chart_kinds import Cells, Chart, Intervals, Picture
from sipo.pages.html import COLORS

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTERS, _SWATCH = 48, 5  # of a legend's line, and what a colour takes of it
_LEGEND_ROWS, _LEGEND_ROW = 2, 0.21  # that a figure has room for, and inches of each further one
_NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
_ID = re.compile(r' id="[\w.]+_\d+"')
"""Of a part of the figure, as every figure has it; what is referred to has a hash for a name."""
_HELD = re.compile(r'(<g id="told_(\d+)">)(.*?)(?=<g id="|\Z)', re.DOTALL)
_DEFINED = re.compile(r"<defs>.*?</defs>", re.DOTALL)
_SHAPE = re.compile(r"<(use|path)\b([^>]*?)/>", re.DOTALL)


class Drawn(NamedTuple):
    """What chart.html shows of a chart."""

    chart: Picture
    svg: Markup


def drawn(chart: Picture) -> Drawn:
    return Drawn(chart, svg(chart))


def svg(chart: Picture, label: str = "") -> Markup:
    """To stand in a page of base.html; `label` is what a screen reader says, the chart's own
    unless another is given. The title stands in the page, not in it."""
    text, told = StringIO(), Told()
    with _settings():
        figure = _draw([chart], 1, (4.0, _height(chart)), told, titled=False)
        figure.savefig(text, format="svg", metadata=_NO_METADATA)
    found = _ID.sub("", _HELD.sub(lambda held: _with_titles(held, told), text.getvalue()))
    for name, (light, _) in COLORS.items():
        found = found.replace(light, f"var(--{name})")
    start = found.index("<svg") + len("<svg")
    return Markup(f'<svg role="img" aria-label="{escape(label or chart.label)}"{found[start:]}')


def write_png(charts: Sequence[Picture], path: Path, columns: int = 1) -> None:
    """All charts as one picture, each 4.3 by 3.2 inches of 110 pixels."""
    from sipo.common.files.writing import atomic

    with _settings(), atomic(path) as file:
        figure = _draw(charts, columns, (4.3, 3.2), Told(), titled=True)
        figure.set_facecolor(COLORS["card"][0])
        figure.savefig(file, format="png")


def _with_titles(held: re.Match[str], told: Told) -> str:
    texts = iter(told.texts[int(held[2])])

    def titled(shape: re.Match[str]) -> str:
        text = next(texts, None)
        if text is None:
            return shape[0]
        return f"<{shape[1]}{shape[2]}><title>{escape(text)}</title></{shape[1]}>"

    defined = "".join(_DEFINED.findall(held[3]))
    return held[1] + defined + _SHAPE.sub(titled, _DEFINED.sub("", held[3]))


def _height(chart: Picture) -> float:
    """In inches, of a chart in a page."""
    match chart:
        case Intervals(names=names, series=series):
            return 0.75 + len(names) * (0.2 + 0.13 * len(series))
        case Cells():
            return 2.4
    return 2.8


def _settings() -> AbstractContextManager[None]:
    from matplotlib import rc_context

    return rc_context(
        {
            "font.size": 10,
            "font.sans-serif": ["DejaVu Sans"],  # for its widths; a page has its own
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


def _draw(
    charts: Sequence[Picture],
    columns: int,
    inches: tuple[float, float],
    told: Told,
    titled: bool,
) -> Figure:
    from matplotlib.figure import Figure

    rows = -(-len(charts) // columns)
    figure = Figure((inches[0] * columns, inches[1] * rows), layout="constrained", facecolor="none")
    grid: list[Axes] = list(figure.subplots(rows, columns, squeeze=False).flat)
    for axes in grid[len(charts) :]:
        axes.set_axis_off()
    by_name: dict[str, Artist] = {}
    for axes, chart in zip(grid, charts, strict=False):
        _dress(axes)
        by_name |= fill(axes, chart, told)
        if titled:
            over = 14 if isinstance(chart, Chart) and chart.marks else 6  # points; their numbers
            axes.set_title(chart.title, fontsize=10, color=COLORS["ink"][0], pad=over)
    if len(by_name) > 1 or titled:
        ncols = _in_a_row(list(by_name), columns)
        figure.legend(
            list(by_name.values()), list(by_name), loc="outside lower center", ncols=ncols
        )
        longer = -(-len(by_name) // ncols) - _LEGEND_ROWS
        figure.set_figheight(figure.get_figheight() + _LEGEND_ROW * max(0, longer))
    return figure


def _in_a_row(names: Sequence[str], columns: int) -> int:
    """How many the legend has beside each other; four stand two by two."""
    fitting = _LETTERS * columns // (max(map(len, names)) + _SWATCH)
    return max(1, min(fitting, 2 if len(names) == 4 else 3))


def _dress(axes: Axes) -> None:
    axes.set_facecolor("none")
    axes.grid(axis="y", color=COLORS["rule"][0], linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=COLORS["soft"][0], length=0)
    axes.spines[:].set_visible(False)
