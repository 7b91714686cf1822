"""Photographs of known content through a judge and GenEval's rule: how often it says what is there.

    python benchmarks/photographs.py [--judge NAME] [--judge-weights FILE] [--pictures FOLDER]...

photographs.json has what each shows and what it lacks, written down by one person who had seen no
detection. The photographs lie in packages: `pip install 'sipo[real]'` has those of the test
(`pytest -m real`); Debian's opencv-doc has the others, in /usr/share or in a --pictures. What is
not on this machine is counted as missing. Without --judge it is the detector of coco_ssd.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from colors import opened
from PIL import Image

from sipo.feedback.judge import Judge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.registry import load_judge, vocabulary_of
from sipo.feedback.rule.verdict import Verdict

LABELS = Path(__file__).with_suffix(".json")
TABLE = "{:14} {:>9} {:>9} {:>9}"


class Asked(NamedTuple):
    """One prompt about one photograph, and whether it shows it."""

    file: str
    image: Image.Image
    prompt: Prompt
    shows: bool


class Answered(NamedTuple):
    asked: Asked
    verdict: Verdict

    @property
    def right(self) -> bool:
        return self.verdict.failure is None and self.verdict.correct == self.asked.shows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--judge", default="coco_ssd:load_ssd")
    parser.add_argument("--judge-weights")
    parser.add_argument("--judge-settings", type=Path)
    parser.add_argument("--pictures", type=Path, action="append", default=[])
    options = parser.parse_args()
    missing: Counter[str] = Counter()
    asked = list(questions([*options.pictures, *map(Path, sys.path), Path("/usr/share")], missing))
    known = vocabulary_of([one.prompt for one in asked])
    judge = load_judge(options.judge, options.judge_weights, known, options.judge_settings)
    start = time.perf_counter()
    answered = answers(judge, asked)
    seconds = time.perf_counter() - start
    print("\n".join([*rows(answered), "", *table(answered), colors_of_found(answered)]))
    print(f"missing photographs: {', '.join(missing) or 'none'}")
    print(f"{seconds / len(asked):.2f} s a verdict")


def questions(roots: Sequence[Path], missing: Counter[str]) -> Iterator[Asked]:
    """Of every photograph that is in one of `roots`."""
    for row in json.loads(LABELS.read_text(encoding="utf-8")):
        image = opened(row["file"], roots)
        if image is None:
            missing[row["file"]] += 1
            continue
        for shows in (True, False):
            for tag, *words in row["shows" if shows else "lacks"]:
                yield Asked(row["file"], image, getattr(grammar, tag)(*words), shows)


def answers(judge: Judge, asked: Sequence[Asked]) -> list[Answered]:
    verdicts = judge.judge([one.image for one in asked], [one.prompt for one in asked])
    return [Answered(*pair) for pair in zip(asked, verdicts, strict=True)]


def table(answered: Sequence[Answered]) -> list[str]:
    """Verdicts that are right, of what is shown and of what is not, by tag."""
    lines = [TABLE.format("", "shown", "not shown", "all")]
    for tag in (*TAGS, "all"):
        of_tag = [one for one in answered if tag in ("all", one.asked.prompt.tag)]
        if of_tag:
            parts = [[one for one in of_tag if one.asked.shows is shows] for shows in (True, False)]
            lines.append(TABLE.format(tag, *map(right_of, (*parts, of_tag))))
    return lines


def colors_of_found(answered: Sequence[Answered]) -> str:
    """How many objects got their colour, of those that were found."""
    shown = [one for one in answered if one.asked.prompt.tag == "colors" and one.asked.shows]
    found = [one for one in shown if any(box.color for box in one.verdict.boxes)]
    return f"colours of objects that were found: {right_of(found)}"


def right_of(answered: Sequence[Answered]) -> str:
    return f"{sum(one.right for one in answered)} of {len(answered)}"


def rows(answered: Iterable[Answered]) -> list[str]:
    """One a prompt: photograph, text, what is so, and why the judge says otherwise or agrees."""
    return [
        f"{'  ' if one.right else '! '}{Path(one.asked.file).name:22} {one.asked.prompt.text:48} "
        f"{'shown' if one.asked.shows else 'not shown':9}  "
        f"{one.verdict.failure or one.verdict.reason or 'correct'}"
        for one in answered
    ]


if __name__ == "__main__":
    main()
