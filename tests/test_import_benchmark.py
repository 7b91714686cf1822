"""benchmarks/imports.py measures what it says, at tiny size."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_sides_are_measured_in_turn(tmp_path: Path) -> None:
    small = ["--pairs", "3", "--px", "64", "--source-px", "96", "--runs", "1"]
    command = [sys.executable, str(ROOT / "benchmarks" / "imports.py"), *small]
    done = subprocess.run(
        [*command, "--cache", str(tmp_path)], check=True, capture_output=True, text=True
    )
    head, _, *rows = done.stdout.splitlines()
    assert head.startswith("| side | images/s")
    assert [row.split("|")[1].strip() for row in rows] == ["this tree", "PIL loop"]
    assert all(float(row.split("|")[2]) > 0 for row in rows)
    assert [path.name for path in tmp_path.iterdir()] == ["3-96"]
