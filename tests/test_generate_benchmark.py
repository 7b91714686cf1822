"""benchmarks/generate.py measures what it says, at tiny size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_both_trees_are_measured_in_turn() -> None:
    small = ["--images", "8", "--px", "64", "--rounds", "1", "--sampler-ms", "5"]
    command = [sys.executable, str(ROOT / "benchmarks" / "generate.py"), *small]
    done = subprocess.run(
        [*command, "--baseline", str(ROOT)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found.keys() == {"none", "colours"}
    for table in found.values():
        assert table.keys() == {"here", "baseline", "times_images_s", "times_images_cpu_s"}
        for tree in ("here", "baseline"):
            assert table[tree]["images_s"] > 0
            assert 0 < table[tree]["sampler_waits"] < 1


STAGE = """
import sys, torch
from pathlib import Path
sys.path[:0] = [{benchmarks!r}, {tests!r}]
from on_card import models, stage
from on_card.report import Report
from on_card.speed import Bench
build = models.tiny_build("SD 1.5", models.TINY["SD 1.5"](Path({scratch!r}) / "model"))
report = Report(Path({scratch!r}) / "gpu.json", {{}})
bench = Bench(torch.device("cpu"), [build], True, {{}})
report.part("generate", 200, lambda part: stage.generating(bench, part))
"""


def test_the_stage_on_a_card_is_measured(tmp_path: Path) -> None:
    places = {"benchmarks": str(ROOT / "benchmarks"), "tests": str(ROOT / "tests")}
    script = STAGE.format(**places, scratch=str(tmp_path))
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    found = json.loads((tmp_path / "gpu.json").read_text())["parts"]["generate"]["SD 1.5 bf16"]
    assert found["images"] == 16
    assert 0 < found["idle_share"] < 1
