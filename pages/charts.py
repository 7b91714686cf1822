"""Line charts as inline SVG, whose colours come from the page's CSS: light, dark, no scripts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

_WIDTH, _HEIGHT = 440, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 12, 12, 40
_TICKS = 5

Point = tuple[float, float]


@dataclass(frozen=True)
class Series:
    """`style` is a CSS class: c0 to c7 choose the colour, `thick` and `dashed` the stroke."""

    name: str
    points: Sequence[Point]
    style: str


def line_chart(
    series: Sequence[Series], x_label: str, y_label: str, borders: Sequence[float] = ()
) -> str:
    """SVG markup; `borders` are x positions of dashed vertical lines. At least one point."""
    points = [point for line in series for point in line.points]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    x_low = min(0.0, *xs)
    x_high = max(x_low + 1, *xs)
    ticks = _ticks(min(ys), max(ys))
    y_low, y_high = ticks[0], ticks[-1]

    def place(x: float, y: float) -> str:
        right = _LEFT + (x - x_low) / (x_high - x_low) * (_WIDTH - _LEFT - _RIGHT)
        down = _TOP + (y_high - y) / (y_high - y_low) * (_HEIGHT - _TOP - _BOTTOM)
        return f"{right:.1f},{down:.1f}"

    parts = [f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(y_label)}">']
    for tick in ticks:
        start, end = place(x_low, tick), place(x_high, tick)
        style = "axis" if tick == 0 else "grid"
        parts.append(f'<polyline class="{style}" points="{start} {end}"/>')
        parts.append(_text(_LEFT - 6, float(start.split(",")[1]) + 4, f"{tick:g}", "end"))
    for x in borders:
        parts.append(f'<polyline class="border" points="{place(x, y_low)} {place(x, y_high)}"/>')
    for x in _x_ticks(x_low, x_high):
        parts.append(_text(float(place(x, y_low).split(",")[0]), _HEIGHT - 22, f"{x:,.0f}"))
    parts.append(_text((_LEFT + _WIDTH - _RIGHT) / 2, _HEIGHT - 5, x_label))
    for line in series:
        path = " ".join(place(x, y) for x, y in line.points)
        parts.append(
            f'<polyline class="line {line.style}" points="{path}">'
            f"<title>{escape(line.name)}</title></polyline>"
        )
        if len(line.points) <= _TICKS * 2:
            for x, y in line.points:
                cx, cy = place(x, y).split(",")
                parts.append(f'<circle class="dot {line.style}" cx="{cx}" cy="{cy}" r="3"/>')
    return "".join([*parts, "</svg>"])


def binned(points: Sequence[Point], bins: int = 80) -> list[Point]:
    """Means of at most `bins` runs of points, in order: a noisy log made readable."""
    size = -(-len(points) // bins)
    groups = [points[start : start + size] for start in range(0, len(points), size or 1)]
    return [(sum(x for x, _ in g) / len(g), sum(y for _, y in g) / len(g)) for g in groups]


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers around [low, high], a little below and above it."""
    span = (high - low) or abs(high) or 1.0
    magnitude = 10.0 ** _exponent(span / _TICKS)
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude * _TICKS >= span)
    first = int(low // step)
    last = int(-(-high // step))
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]


def _exponent(value: float) -> int:
    return int(f"{value:e}".split("e")[1])


def _x_ticks(low: float, high: float) -> list[float]:
    if high - low <= 2 * _TICKS:  # rounds: whole numbers
        return [low + offset for offset in range(int(high - low) + 1)]
    return [tick for tick in _ticks(low, high) if low <= tick <= high]


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
