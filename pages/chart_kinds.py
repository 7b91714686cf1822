"""Charts as data: what is drawn, what a screen reader says of it, and the table behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sipo.common.statistics import Interval

Point = tuple[float, float]
SERIES = ("c1", "c2", "c3", "c4", "c5", "c6", "ink")
"""Colours that are told apart, by their names in html.py."""
MOST_ROWS = 24  # of a line in its table; of a longer one evenly taken


class Line(NamedTuple):
    """`band` has the bounds of each point's interval, None where it has none. `legend` stands in
    the legend instead of the name, once for all lines that have it."""

    name: str
    points: Sequence[Point]
    color: str = "ink"
    width: float = 1.2
    dashed: bool = False
    band: Sequence[Interval | None] = ()
    legend: str = ""


class Mark(NamedTuple):
    """What happened at `x`, up to `until`: a number in the chart, `text` for who points at it."""

    x: float
    until: float
    number: int
    text: str
    color: str = "bad"


class Table(NamedTuple):
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Chart:
    """Lines over x. `borders` are x, `levels` y of lines that part or compare; `reading` is a
    sentence on how to read it. X are counts, whole numbers, unless they are `shares` of 1."""

    lines: Sequence[Line]
    x_label: str
    title: str = ""
    reading: str = ""
    borders: Sequence[float] = ()
    levels: Sequence[float] = ()
    marks: Sequence[Mark] = ()
    y_range: tuple[float, float] | None = None
    shares: bool = False

    @property
    def label(self) -> str:
        return "; ".join([f"Line chart: {self.title or self.x_label}", *map(_course, self.lines)])

    @property
    def table(self) -> Table:
        """A column a line where all have the same x, else a row a point."""
        across = [[x for x, _ in line.points] for line in self.lines]
        if across and all(xs == across[0] for xs in across):
            rows = [
                [_plain(line.points[place][0]) for line in self.lines[:1]]
                + [short(line.points[place][1]) for line in self.lines]
                for place in evenly(len(across[0]))
            ]
            return Table([self.x_label, *(line.name for line in self.lines)], rows)
        points = [
            [line.name, _plain(x), short(y)]
            for line in self.lines
            for x, y in (line.points[place] for place in evenly(len(line.points)))
        ]
        return Table(["line", self.x_label, "value"], points)


@dataclass(frozen=True)
class Cells:
    """Rows by columns of numbers, above 0 in one colour and below it in another, None left empty.

    `values[r][c]`; row 0 is lowest. `columns` are the x at which each column ends.
    """

    values: Sequence[Sequence[float | None]]
    columns: Sequence[float]
    rows: Sequence[str]
    x_label: str
    y_label: str
    title: str = ""
    reading: str = ""
    colors: tuple[str, str] = ("good", "bad")

    @property
    def label(self) -> str:
        known = [(v, r, c) for r, row in enumerate(self.values) for c, v in enumerate(row) if v]
        if not known:
            return f"Heat map: {self.title}; all 0"
        ends = [f"{short(v)} at {self._place(r, c)}" for v, r, c in (min(known), max(known))]
        return f"Heat map: {self.title}; from {ends[0]} to {ends[1]}"

    @property
    def table(self) -> Table:
        places = evenly(len(self.columns), 8)
        head = [self.y_label, *(_plain(self.columns[place]) for place in places)]
        rows = [
            [name, *("" if row[c] is None else short(row[c] or 0) for c in places)]
            for name, row in zip(self.rows, self.values, strict=True)
        ]
        return Table(head, rows)

    def _place(self, row: int, column: int) -> str:
        return f"{self.y_label} {self.rows[row]}, {self.x_label} {_plain(self.columns[column])}"


class Dots(NamedTuple):
    """Of one series: a value and its interval for each name."""

    name: str
    values: Sequence[float | None]
    intervals: Sequence[Interval | None]
    color: str = "ink"


@dataclass(frozen=True)
class Intervals:
    """Values with intervals, by name from top to bottom, the series of a name below each other."""

    names: Sequence[str]
    series: Sequence[Dots]
    x_label: str
    title: str = ""
    reading: str = ""
    x_range: tuple[float, float] | None = (0, 1)

    @property
    def label(self) -> str:
        last = len(self.names) - 1
        said = [
            f"{one.name}: {self.names[last]} {short(value)}"
            for one in self.series
            if (value := one.values[last]) is not None
        ]
        return "; ".join([f"Values with intervals: {self.title}", *said])

    @property
    def table(self) -> Table:
        rows = [
            [name, *(_with_interval(one, place) for one in self.series)]
            for place, name in enumerate(self.names)
        ]
        return Table(["", *(one.name for one in self.series)], rows)


@dataclass(frozen=True)
class Bars:
    """Counts of ranges: `edges` are one more than each series' counts, which stand on each other's
    heads."""

    edges: Sequence[float]
    series: Sequence[tuple[str, Sequence[float], str]]  # name, counts, colour
    x_label: str
    title: str = ""
    reading: str = ""

    @property
    def label(self) -> str:
        said = [f"{name} {short(sum(counts))} in all" for name, counts, _ in self.series]
        return "; ".join([f"Histogram: {self.title or self.x_label}", *said])

    @property
    def table(self) -> Table:
        ranges = zip(self.edges, self.edges[1:], strict=False)
        rows = [
            [f"{low:g} to {high:g}", *(short(counts[place]) for _, counts, _ in self.series)]
            for place, (low, high) in enumerate(ranges)
        ]
        return Table([self.x_label, *(name for name, _, _ in self.series)], rows)


Picture = Chart | Cells | Intervals | Bars


def binned(points: Sequence[Point], bins: int = 80) -> list[Point]:
    """Means of at most `bins` runs of points, in order: a noisy log made readable."""
    size = -(-len(points) // bins)
    groups = [points[start : start + size] for start in range(0, len(points), size or 1)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def point_text(name: str, x_label: str, point: Point) -> str:
    """What is said of a point that is pointed at."""
    return f"{name}: {short(point[1])} at {x_label} {_plain(point[0])}"


def dot_text(one: Dots, names: Sequence[str], place: int) -> str:
    return f"{one.name}, {names[place]}: {_with_interval(one, place)}"


def cell_text(cells: Cells, row: int, column: int) -> str:
    return f"{short(cells.values[row][column] or 0)}: {cells._place(row, column)}"


def _course(line: Line) -> str:
    if not line.points:
        return f"{line.name} has no points"
    values = [y for _, y in line.points]
    if len(values) == 1:
        return f"{line.name} {short(values[0])}"
    ends = f"{line.name} from {short(values[0])} to {short(values[-1])}"
    low, high = min(values), max(values)
    inside = {low, high} - {values[0], values[-1]}
    return ends + (f", between {short(low)} and {short(high)}" if inside else "")


def evenly(count: int, most: int = MOST_ROWS) -> list[int]:
    """Places of at most `most` of `count`, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]


def _with_interval(one: Dots, place: int) -> str:
    value, interval = one.values[place], one.intervals[place]
    if value is None:
        return "none"
    bounds = f" ({short(interval[0])} to {short(interval[1])})" if interval else ""
    return short(value) + bounds


def short(value: float) -> str:
    """Three digits that count; large ones whole."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _plain(x: float) -> str:
    return f"{x:,.0f}" if abs(x) >= 10 or x == int(x) else f"{x:.3g}"
