"""Charts: where the points lie, what is written, and what a page's colours are called."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from sipo.pages.charts import Chart, Line, Point, binned, svg, write_png
from sipo.pages.html import COLORS

UP: list[Point] = [(0, 0), (2, 1)]


def test_points_lie_where_the_axis_says() -> None:
    """The line ends at the heights of the labels 0.0 and 1.0; down is more in SVG."""
    drawn = svg(Chart([Line("up", UP, "c1")], "round", y_range=(0, 1)), "accuracy")
    [path] = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"[^>]*var\(--c1\)', drawn)
    labels = dict(re.findall(r'y="([\d.]+)"[^>]*>([\d.]+)</text>', drawn))
    heights = {float(label): float(y) for y, label in labels.items()}
    drop = heights[0.0] - float(path[1])  # of a label's baseline below its tick
    assert heights[1.0] - drop == pytest.approx(float(path[3]), abs=0.1)
    assert float(path[1]) > float(path[3])
    assert float(path[0]) < float(path[2])


def test_a_chart_is_markup_whose_colours_are_the_pages() -> None:
    """No colour of its own, text that is text, and the same bytes each time."""
    chart = Chart(
        [Line("<a> $b$ _c", UP), Line("_d", UP, "good", dashed=True)], "x", "t", [1], [0, 0.5]
    )
    drawn = svg(chart, 'say "so"')
    assert drawn == svg(chart, 'say "so"')
    root = ElementTree.fromstring(drawn)
    assert (root.get("role"), root.get("aria-label")) == ("img", 'say "so"')
    said = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"<a> $b$ _c", "_d", "x", "t"} <= said
    assert set(re.findall(r"#[0-9a-f]{6}", drawn)) == set()
    assert set(re.findall(r"var\(--(\w+)\)", drawn)) <= COLORS.keys()


@pytest.mark.parametrize("points", [[(0, 0.3)], [(1, 5), (2, 5)], [(0, -3e-7), (9e5, 4e-7)]])
def test_odd_data_make_a_chart(points: list[Point]) -> None:
    assert svg(Chart([Line("a", points)], "x"), "y").rstrip().endswith("</svg>")


def test_charts_side_by_side_are_one_picture(tmp_path: Path) -> None:
    charts = [Chart([Line("a", UP, "c2")], "x", f"{number}") for number in range(3)]
    for columns, (wide, high) in ((1, (1, 3)), (2, (2, 2))):
        write_png(charts, tmp_path / "x.png", columns)
        with Image.open(tmp_path / "x.png") as picture:
            assert picture.size == (473 * wide, 352 * high)
            colors = picture.convert("RGB").getcolors(1 << 20) or []
        assert (0xD9, 0x73, 0x0D) in {color for _, color in colors}


def test_bins_are_means() -> None:
    points = [(float(x), float(x % 2)) for x in range(10)]
    assert binned(points, 5) == [(0.5, 0.5), (2.5, 0.5), (4.5, 0.5), (6.5, 0.5), (8.5, 0.5)]
    assert binned([], 5) == []
