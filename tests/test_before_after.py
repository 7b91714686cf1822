"""benchmarks/before_after.py on two small evaluations."""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image

from sipo.feedback.prompts.grammar import single_object
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval.results import to_row, write_rows

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from before_after import RIGHT, WRONG, sheet


def test_frames_are_the_verdicts(tmp_path: Path) -> None:
    for name, correct in {"base": False, "after": True}.items():
        samples = tmp_path / name / "00000" / "samples"
        samples.mkdir(parents=True)
        Image.new("RGB", (8, 8)).save(samples / "0000.png")
        verdict = Verdict(score=0.0, correct=correct)
        rows = [
            to_row(f"00000/samples/000{number}.png", single_object("cat"), verdict)
            for number in range(2)
        ]
        write_rows(rows, tmp_path / name / "results.jsonl")
    drawn = sheet({name: tmp_path / name for name in ("base", "after")}, 2)
    colors = {color for _, color in drawn.getcolors(2**20)}  # type: ignore[misc]
    assert {tuple(bytes.fromhex(color[1:])) for color in (RIGHT, WRONG)} <= colors
