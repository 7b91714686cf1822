"""The rounds of several loops in one picture: validation solid, the test dashed.

    python benchmarks/rounds.py runs/s0 runs/s1 --keep docs/rounds.json --out docs/rounds.png
    python benchmarks/rounds.py docs/rounds.json --out docs/rounds.png

The second draws what the first has kept.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypedDict

from sipo.loop.report import read_result
from sipo.pages.chart_kinds import SERIES, Chart, Line, Point
from sipo.pages.charts import write_png


class Course(TypedDict):
    """Of one loop: its name, and (round, Overall) of the rounds that were kept and of the test."""

    name: str
    validation: list[Point]
    test: list[Point]


def courses_of(path: Path) -> list[Course]:
    """Of a loop's folder, or as they were kept."""
    if path.is_file():
        kept: list[Course] = json.loads(path.read_text(encoding="utf-8"))
        return kept
    result = read_result(path)
    return [
        Course(
            name=f"seed {result.settings['seed']}",
            validation=[(entry.round, round(entry.overall, 3)) for entry in result.accepted],
            test=[(entry.round, round(entry.overall, 3)) for entry in result.test],
        )
    ]


def chart(courses: Sequence[Course]) -> Chart:
    return Chart(list(_lines(courses)), "round", "Overall by round", y_range=(0.5, 1.0))


def _lines(courses: Sequence[Course]) -> Iterator[Line]:
    for color, one in zip(SERIES, courses, strict=False):
        yield Line(one["name"], one["validation"], color, width=2)
        yield Line(f"{one['name']}, test", one["test"], color, dashed=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("loops", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    courses = [course for path in asked.loops for course in courses_of(path)]
    if asked.keep:
        asked.keep.write_text(json.dumps(courses, indent=1) + "\n", encoding="utf-8")
    write_png([chart(courses)], asked.out)


if __name__ == "__main__":
    main()
