"""benchmarks/generate.py measures what it says, at tiny size."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_both_trees_are_measured_in_turn() -> None:
    small = ["--images", "8", "--px", "64", "--rounds", "1", "--sampler-ms", "5"]
    small += ["--judges", "colours"]
    command = [sys.executable, str(ROOT / "benchmarks" / "generate.py"), *small]
    done = subprocess.run(
        [*command, "--baseline", str(ROOT)], check=True, capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found.keys() == {"colours"}
    for table in found.values():
        assert table.keys() == {"here", "baseline", "times_images_s", "times_images_cpu_s"}
        for tree in ("here", "baseline"):
            assert table[tree]["images_s"] > 0
            assert 0 < table[tree]["sampler_waits"] < 1
