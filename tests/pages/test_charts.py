"""Charts: where the points lie, what is written, and what a page's colours are called."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from sipo.pages.chart_kinds import (
    Bars,
    Cells,
    Chart,
    Dots,
    Intervals,
    Line,
    Mark,
    Picture,
    Point,
    binned,
)
from sipo.pages.charts import drawn, svg, write_png
from sipo.pages.html import COLORS, render

UP: list[Point] = [(0, 0), (2, 1)]


def test_points_lie_where_the_axis_says() -> None:
    """The line ends at the heights of the labels 0.0 and 1.0; down is more in SVG."""
    text = svg(Chart([Line("up", UP, "c1")], "round", y_range=(0, 1)), "accuracy")
    [path] = re.findall(r'd="M ([\d.]+) ([\d.]+) \nL ([\d.]+) ([\d.]+) \n"[^>]*var\(--c1\)', text)
    labels = dict(re.findall(r'y="([\d.]+)"[^>]*>([\d.]+)</text>', text))
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
    text = svg(chart, 'say "so"')
    assert text == svg(chart, 'say "so"')
    root = ElementTree.fromstring(text)
    assert (root.get("role"), root.get("aria-label")) == ("img", 'say "so"')
    said = {element.text for element in root.iter("{http://www.w3.org/2000/svg}text")}
    assert {"<a> $b$ _c", "_d", "x"} <= said
    assert set(re.findall(r"#[0-9a-f]{6}", text)) == set()
    assert set(re.findall(r"var\(--(\w+)\)", text)) <= COLORS.keys()


def test_a_long_legend_takes_no_room_from_the_curves() -> None:
    """Twelve lines of long names: a line is as high as it is of two."""

    def height(count: int) -> float:
        lines = [Line(f"a run with a long name, {n}", UP, "c1") for n in range(count)]
        found = re.findall(r'd="M [\d.]+ ([\d.]+) \nL [\d.]+ ([\d.]+) \n"', svg(Chart(lines, "x")))
        return max(abs(float(y1) - float(y0)) for y0, y1 in found)

    assert height(12) == pytest.approx(height(2), rel=0.05)


def test_lines_may_share_a_legend() -> None:
    sides = [Line(f"run, {side}", UP, legend="run") for side in ("winners", "losers")]
    text = svg(Chart([*sides, Line("other", UP)], "x"))
    root = ElementTree.fromstring(text)
    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert said.count("run") == 1
    assert "run, losers" not in said


@pytest.mark.parametrize("points", [[(0, 0.3)], [(1, 5), (2, 5)], [(0, -3e-7), (9e5, 4e-7)]])
def test_odd_data_make_a_chart(points: list[Point]) -> None:
    assert svg(Chart([Line("a", points)], "x"), "y").rstrip().endswith("</svg>")


CHART = Chart(
    [Line("up", UP, band=[(-0.1, 0.1), None]), Line("down", [(0, 1), (1, 3), (2, 0)])],
    *("round", "Ups & downs", "Read it so."),
    marks=[Mark(1, 2, 1, "it falls")],
)
CELLS = Cells([[1.0, None], [-2.0, 0.5]], [10, 20], ["low", "high"], "pairs", "noise", "Rewards")
TAGS = Intervals(
    ["colors", "overall"],
    [Dots("base", [0.25, 0.5], [(0.2, 0.3), None], "c1"), Dots("round 1", [None, 1], [None, None])],
    *("share correct", "Tags"),
)
BARS = Bars([0, 0.5, 1], [("kept", [3, 4], "good"), ("dropped", [0, 1200], "bad")], "margin")


@pytest.mark.parametrize(
    ("chart", "label", "pointed_at", "row"),
    [
        (
            CHART,
            "Line chart: Ups & downs; up from 0 to 1; down from 1 to 0, between 0 and 3",
            ["up: 1 at round 2", "down: 3 at round 1", "1: it falls"],
            ["down", "1", "3"],
        ),
        (
            CELLS,
            "Heat map: Rewards; from -2 at noise high, pairs 10 to 1 at noise low, pairs 10",
            ["-2: noise high, pairs 10", "0.5: noise high, pairs 20"],
            ["low", "1", ""],
        ),
        (
            TAGS,
            "Values with intervals: Tags; base: overall 0.5; round 1: overall 1",
            ["base, colors: 0.25 (0.2 to 0.3)", "round 1, overall: 1"],
            ["colors", "0.25 (0.2 to 0.3)", "none"],
        ),
        (
            BARS,
            "Histogram: margin; kept 7 in all; dropped 1,200 in all",
            ["kept, 0 to 0.5: 3", "dropped, 0.5 to 1: 1,200"],
            ["0.5 to 1", "4", "1,200"],
        ),
    ],
)
def test_a_chart_is_told_to_who_points_who_listens_and_who_reads(
    chart: Picture, label: str, pointed_at: list[str], row: list[str]
) -> None:
    root = ElementTree.fromstring(svg(chart))
    assert root.get("aria-label") == label
    titles = [each.text for each in root.iter("{http://www.w3.org/2000/svg}title")]
    assert set(pointed_at) <= set(titles)
    assert row in [list(each) for each in chart.table.rows]
    assert all(len(each) == len(chart.table.head) for each in chart.table.rows)


def test_what_is_pointed_at_lies_where_it_says() -> None:
    """The invisible points are at the visible ones."""
    text = svg(Chart([Line("up", UP, "c1")], "round"))
    seen, hidden = (
        sorted(re.findall(rf'x="([\d.]+)" y="([\d.]+)" style="[^"]*{style}"{end}', text))
        for style, end in ((r"var\(--c1\)", "/>"), ("fill-opacity: 0", "><title>"))
    )
    assert len(seen) == 2
    assert seen == hidden


def test_a_long_line_has_a_short_table() -> None:
    points: list[Point] = [(float(x), 0.0) for x in range(1000)]
    rows = Chart([Line("a", points), Line("b", points)], "x").table.rows
    assert (len(rows), rows[0][0], rows[-1]) == (24, "0", ["999", "0", "0"])


def test_a_chart_in_a_page_has_title_reading_and_table(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '{% extends "base.html" %}{% from "chart.html" import figure %}'
        "{% block body %}{{ figure(chart) }}{% endblock %}"
    )
    page = render(tmp_path / "page.html", title="t", chart=drawn(CHART))
    assert "<h3>Ups &amp; downs</h3>" in page
    assert "Read it so." in page
    assert '<th scope="row">down</th><td>1</td><td>3</td>' in page


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
