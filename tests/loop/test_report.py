"""The page: everything in it, nothing outside it."""

from __future__ import annotations

import json
import re
import shutil
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from courses import course, entry

from sipo.loop.quality import quality_warning
from sipo.loop.report import write_report
from sipo.loop.result import LoopSummary, Quality
from sipo.loop.tables import table_of_test, training_warnings


class Tags(HTMLParser):
    """Which elements there are, and that all of them are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "img", "br", "link", "input"):
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
    charts = page.count('<svg role="img"')
    assert charts == 5  # scores, tasks, judges, quality, rewards
    assert tags.seen.count("table") == 3 + charts  # rounds, test, trainings; figures of charts
    assert page.count(">0 (base)</th>") == 3
    assert tags.seen.count("img") == 3 * 2 * 3  # a prompt a tag, two images, three rounds
    for words in ("a photo of three cars", "Implicit rewards", "Judge against evaluator"):
        assert words in page


def test_the_same_prompts_stand_in_every_round(page: str) -> None:
    """Under one slider, the last of them shown on a small screen."""
    [names] = re.findall(r'data-names="([^"]+)"', page)
    rounds = json.loads(unescape(names))
    assert [name.removesuffix(" (best)") for name in rounds] == ["base", "round 1", "round 2"]
    assert page.count('data-run="0"') == page.count('class="run now" data-run="2"') == 3
    alts = [unescape(alt) for alt in re.findall(r'<img[^>]* alt="([^"]*)"', page)]
    for alt in alts:
        assert re.fullmatch(
            r"a photo of .*, (base|round \d)( \(best\))?, image \d: (right|wrong: .+)", alt
        )


def test_the_page_stands_alone_and_knows_dark_and_small_screens(page: str) -> None:
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
    assert "fetch(" not in page  # it is not served
    assert "prefers-color-scheme: dark" in page
    assert 'name="viewport"' in page


def test_marks_are_the_evaluators(page: str, finished: Path) -> None:
    rows = [
        line
        for k in (0, 1, 2)
        for line in (finished / f"round-{k}/eval/results.jsonl").read_text().splitlines()
    ]
    assert page.count('class="picture good"') == sum('"correct": true' in row for row in rows)


def test_the_page_shows_what_training_warned_of(finished: Path, tmp_path: Path) -> None:
    result = json.loads((finished / "loop.json").read_text())
    assert [entry["warnings"] for entry in result["rounds"]] == [[], [], []]
    folder = shutil.copytree(finished, tmp_path / "loop")
    result["rounds"][2]["warnings"] = ["steps 50 to 60: the winner's reward falls"]
    summary = LoopSummary.model_validate(result)
    page = write_report(folder, summary).read_text()
    assert "<li>round 2, steps 50 to 60: the winner&#39;s reward falls</li>" in page
    assert "Training warned of 1 thing" in page
    assert training_warnings(summary) == ["round 2, steps 50 to 60: the winner's reward falls"]


def test_the_test_is_a_table() -> None:
    result = course(entry(1, 0.8), best=1)
    assert [line.split()[:2] for line in table_of_test(result).splitlines()] == [
        ["test", "overall"],
        ["0", "0.400"],
        ["1", "0.700"],
    ]


def test_worse_pictures_are_told_where_overall_rises() -> None:
    worse = entry(1, 0.6, empty_share=0.1, quality=Quality(sharpness=5.0))
    base = entry(0, 0.5, quality=Quality(sharpness=10.0))
    said = quality_warning([base, worse])
    assert said is not None
    assert "empty images went from 0.0% to 10.0%, sharpness went from 10 to 5: look" in said
    assert quality_warning([base, worse.model_copy(update={"overall": 0.4})]) is None
    assert quality_warning([base, entry(1, 0.6)]) is None
