"""The page: everything in it, nothing outside it."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sipo.loop.gallery import SIDE_PX, data_uri
from sipo.loop.report import headline, write_report
from sipo.loop.tables import training_warnings
from sipo.pages.charts import Series, binned, line_chart


class Tags(HTMLParser):
    """Which elements there are, and that all of them are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def page(finished: Path) -> str:
    return (finished / "report.html").read_text()


def test_the_page_has_its_parts(page: str) -> None:
    tags = Tags()
    tags.feed(page)
    assert tags.open == []
    assert tags.seen.count("table") == 1
    assert page.count("<td>0 (base)</td>") == 1
    assert page.count('role="img"') == 2  # scores, reward dynamics
    assert tags.seen.count("img") == 3 * 2 * 2  # a prompt a tag, two images, before and after
    for words in (
        "a photo of three cars",
        "implicit reward",
        "winner",
        "loser",
        "judge",
        "minutes",
    ):
        assert words in page
    assert len(re.findall("<title>", page)) >= 1


def test_the_page_stands_alone_and_knows_dark_and_small_screens(page: str) -> None:
    assert not re.findall(r"(?:src|href)=\"(?!data:)", page)
    assert "<script" not in page
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_marks_are_the_evaluators(page: str, finished: Path) -> None:
    rows = [
        line
        for k in (0, 2)
        for line in (finished / f"round-{k}/eval/results.jsonl").read_text().splitlines()
    ]
    assert page.count('class="picture correct"') == sum('"correct": true' in row for row in rows)


def test_the_headline_says_what_the_interval_allows() -> None:
    def entry(number: int, overall: float, low: float, high: float) -> dict[str, object]:
        gain = {"difference": overall - 0.4, "interval": [low, high]}
        return {"round": number, "overall": overall, "minutes": 2.0, "gain": gain}

    base = entry(0, 0.4, 0, 0)
    assert "a clear gain (+0.100, 95% interval +0.050 to" in headline(
        [base, entry(1, 0.5, 0.05, 1)]
    )
    assert "no clear change" in headline([base, entry(1, 0.5, -0.05, 0.2)])
    assert "a clear loss" in headline([base, entry(1, 0.3, -0.2, -0.05)])
    assert "in 1 round and 4 minutes" in headline([base, entry(1, 0.5, 0.05, 0.2)])
    assert "no round is done" in headline([base])


def test_the_headline_does_not_say_more_than_the_figures_beside_it() -> None:
    """An interval shown from +0.000 is no clear gain; what training warned of is said with it."""
    base = {"round": 0, "overall": 0.4, "minutes": 2.0, "gain": None}
    gain = {"difference": 0.05, "interval": [0.0004, 0.1]}
    last = {"round": 1, "overall": 0.45, "minutes": 2.0, "gain": gain}
    assert "no clear change (+0.050, 95% interval +0.000 to +0.100)." in headline([base, last])
    gain["interval"] = [0.01, 0.1]
    warned = last | {"warnings": ["step 50: z is saturated"]}
    assert "a clear gain" in headline([base, warned])
    assert headline([base, warned]).endswith(
        "Training warned of 1 thing, below: look at the images before you use it."
    )
    assert "warned" not in headline([base, last])


def test_the_page_shows_what_training_warned_of(finished: Path, tmp_path: Path) -> None:
    result = json.loads((finished / "loop.json").read_text())
    assert [entry["warnings"] for entry in result["rounds"]] == [[], [], []]
    folder = shutil.copytree(finished, tmp_path / "loop")
    result["rounds"][2]["warnings"] = ["steps 50 to 60: the winner's reward falls"]
    page = write_report(folder, result).read_text()
    assert "<li>round 2, steps 50 to 60: the winner&#39;s reward falls</li>" in page
    assert "Training warned of 1 thing" in page
    assert training_warnings(result["rounds"]) == [
        "round 2, steps 50 to 60: the winner's reward falls"
    ]


def test_points_lie_where_the_axis_says() -> None:
    chart = line_chart([Series("<a>", [(0, 0), (2, 1)], "c0")], "round", "accuracy")
    assert "&lt;a&gt;" in chart
    ticks = re.findall(r'y="([\d.]+)" text-anchor="end">([\d.]+)<', chart)
    heights = {float(label): float(y) - 4 for y, label in ticks}
    assert f'points="46.0,{heights[0]} 428.0,{heights[1]}"' in chart


@pytest.mark.parametrize("points", [[(0, 0.3)], [(1, 5), (2, 5)], [(0, -3e-7), (9e5, 4e-7)]])
def test_odd_data_make_a_chart(points: list[tuple[float, float]]) -> None:
    assert line_chart([Series("a", points, "c0")], "x", "y").endswith("</svg>")


def test_bins_are_means() -> None:
    points = [(float(x), float(x % 2)) for x in range(10)]
    assert binned(points, 5) == [(0.5, 0.5), (2.5, 0.5), (4.5, 0.5), (6.5, 0.5), (8.5, 0.5)]
    assert binned([], 5) == []


def test_large_images_are_made_small(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (1024, 512)).save(tmp_path / "large.png")
    Image.new("RGB", (SIDE_PX, 8)).save(tmp_path / "small.png")
    assert data_uri(tmp_path / "large.png").startswith("data:image/jpeg;base64,")
    assert data_uri(tmp_path / "small.png").startswith("data:image/png;base64,")
