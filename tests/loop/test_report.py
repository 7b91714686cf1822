"""The page: everything in it, nothing outside it."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from sipo.common.statistics import Difference
from sipo.loop.gallery import SIDE_PX, image_uri
from sipo.loop.quality import quality_warning
from sipo.loop.report import headline, score_chart, sentence_of_test, write_report
from sipo.loop.result import LoopSummary, Quality, RoundSummary, TestSummary
from sipo.loop.tables import table_of_test, training_warnings


class Tags(HTMLParser):
    """Which elements there are, and that all of them are closed."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in ("meta", "img", "br"):
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
    assert tags.seen.count("table") == 2  # rounds, and the test
    assert page.count("<td>0 (base)</td>") == 2
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
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)
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


def entry(number: int, overall: float, low: float, high: float, *warnings: str) -> RoundSummary:
    """A round of which the gain over a base of 0.4 is told by its interval alone."""
    gain = Difference(
        a=0.4, b=overall, difference=overall - 0.4, interval=(low, high), clear=not low <= 0 <= high
    )
    return RoundSummary(
        round=number,
        overall=overall,
        interval=None,
        tags={},
        judge_overall=overall,
        gain=gain if number else None,
        tag_gains=None,
        empty_share=0,
        pairs=None,
        best_of_n=None,
        warnings=list(warnings),
        minutes=2.0,
        stage_minutes={},
    )


BASE = entry(0, 0.4, 0, 0)


def told(*rounds: RoundSummary, best: int | None = None) -> str:
    """The headline of a loop that ends with the last of them."""
    return headline(result_of(*rounds, best=best))


def result_of(*rounds: RoundSummary, best: int | None = None) -> LoopSummary:
    return LoopSummary(
        rounds=list(rounds),
        best=rounds[-1].round if best is None else best,
        warning=None,
        evaluator={},
        judge={},
        settings={},
        sampler=None,
        versions={},
    )


def test_the_headline_says_what_the_interval_allows() -> None:
    said = told(BASE, entry(1, 0.5, 0.05, 1))
    assert "a clear gain (+0.100, 95% interval +0.050 to" in said
    assert "no clear change" in told(BASE, entry(1, 0.5, -0.05, 0.2))
    assert "a clear loss" in told(BASE, entry(1, 0.3, -0.2, -0.05))
    assert "in 1 round and 4 minutes" in told(BASE, entry(1, 0.5, 0.05, 0.2))
    assert "no round is done" in told(BASE)


def test_the_headline_does_not_say_more_than_the_figures_beside_it() -> None:
    """An interval shown from +0.000 is no clear gain; what training warned of is said with it."""
    said = told(BASE, entry(1, 0.45, 0.0004, 0.1))
    assert "no clear change (+0.050, 95% interval +0.000 to +0.100)." in said
    warned = told(BASE, entry(1, 0.45, 0.01, 0.1, "step 50: z is saturated"))
    assert "a clear gain" in warned
    assert warned.endswith(
        "Training warned of 1 thing, below: look at the images before you use it."
    )
    assert "warned" not in said


def test_the_page_shows_what_training_warned_of(finished: Path, tmp_path: Path) -> None:
    result = json.loads((finished / "loop.json").read_text())
    assert [entry["warnings"] for entry in result["rounds"]] == [[], [], []]
    folder = shutil.copytree(finished, tmp_path / "loop")
    result["rounds"][2]["warnings"] = ["steps 50 to 60: the winner's reward falls"]
    summary = LoopSummary.model_validate(result)
    page = write_report(folder, summary).read_text()
    assert "<li>round 2, steps 50 to 60: the winner&#39;s reward falls</li>" in page
    assert "Training warned of 1 thing" in page
    assert training_warnings(summary.rounds) == [
        "round 2, steps 50 to 60: the winner's reward falls"
    ]


def test_large_images_are_made_small(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (1024, 512)).save(tmp_path / "large.png")
    Image.new("RGB", (SIDE_PX, 8)).save(tmp_path / "small.png")
    assert image_uri(tmp_path / "large.png").startswith("data:image/jpeg;base64,")
    assert image_uri(tmp_path / "small.png").startswith("data:image/png;base64,")


def test_the_headline_names_what_was_kept() -> None:
    kept, lost = entry(1, 0.5, 0.05, 0.15), entry(2, 0.35, -0.1, 0.0)
    lost = lost.model_copy(update={"accepted": False, "attempt": 2, "rejected": [lost]})
    said = told(BASE, kept, lost, best=1)
    assert "Overall went from 0.400 to 0.500 in 2 rounds and 8 minutes: a clear gain" in said
    assert said.endswith("The loop ends with round 1, its best. Rejected and skipped: round 2.")
    mended = kept.model_copy(update={"attempt": 2, "rejected": [lost]})
    assert "Accepted only when trained again: round 1." in told(BASE, mended)
    assert "No round of 1 is above the base" in told(BASE, entry(1, 0.39, -0.05, 0.03), best=0)


def test_the_curve_is_of_what_was_kept() -> None:
    lost = entry(2, 0.35, -0.1, 0.0).model_copy(update={"accepted": False})
    lines = {
        line.name: list(line.points)
        for line in score_chart(result_of(BASE, entry(1, 0.5, 0, 1), lost, best=1)).lines
    }
    assert lines["overall"] == [(0, 0.4), (1, 0.5)]
    assert lines["overall, rejected"] == [(2, 0.35)]


def test_the_test_stands_apart() -> None:
    base = TestSummary(
        round=0, overall=0.3, interval=None, tags={"colors": 0.3}, empty_share=0, gain=None
    )
    gained = entry(1, 0.5, 0.05, 0.15).gain
    best = base.model_copy(update={"round": 1, "overall": 0.5, "gain": gained})
    result = result_of(BASE, entry(1, 0.5, 0.05, 0.15))
    assert sentence_of_test(result) == ""  # still to come
    result = result.model_copy(update={"test": [base, best]})
    assert "round 1 went from 0.300 to 0.500: a clear gain" in sentence_of_test(result)
    assert [line.split()[:2] for line in table_of_test(result).splitlines()] == [
        ["test", "overall"],
        ["0", "0.300"],
        ["1", "0.500"],
    ]


def test_worse_pictures_are_told_where_overall_rises() -> None:
    worse = entry(1, 0.5, 0.05, 0.15).model_copy(
        update={"empty_share": 0.1, "quality": Quality(sharpness=5.0)}
    )
    base = BASE.model_copy(update={"quality": Quality(sharpness=10.0)})
    said = quality_warning([base, worse])
    assert said is not None
    assert "empty images went from 0.0% to 10.0%, sharpness went from 10 to 5: look" in said
    assert quality_warning([base, worse.model_copy(update={"overall": 0.4})]) is None
    assert quality_warning([base, entry(1, 0.5, 0.05, 0.15)]) is None
