"""benchmarks/rounds.py: what loops gave in a picture, and the README's one."""

from __future__ import annotations

import sys
from pathlib import Path

from small_loop import read

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import rounds as picture  # noqa: E402


def test_a_loop_is_the_course_of_its_rounds(finished: Path) -> None:
    [course] = picture.courses_of(finished)
    result = read(finished / "loop.json")
    assert course["name"] == "seed 0"
    assert course["validation"] == [
        (entry["round"], round(entry["overall"], 3)) for entry in result["rounds"]
    ]
    assert [number for number, _ in course["test"]] == [one["round"] for one in result["test"]]
    names = [line.name for line in picture.chart([course]).lines]
    assert names == ["seed 0", "seed 0, test"]


def test_what_is_kept_is_what_the_readme_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for course in picture.courses_of(ROOT / "docs" / "rounds.json"):
        rounds, tested = dict(map(tuple, course["validation"])), dict(map(tuple, course["test"]))
        best = max(rounds, key=rounds.__getitem__)
        for value in (tested[0], tested[1], tested[best]):
            assert f"{value:.3f}".removeprefix("0") in text
