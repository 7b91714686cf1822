"""The part that checks numbers: the tests that need a card, each with what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from on_card.report import Report
from on_card.speed import Bench

ROOT = Path(__file__).parents[2]
WAIT_S = 0.2


def tests(bench: Bench, report: Report) -> None:
    """`pytest -m gpu`; --tiny: the same on the CPU. Every test is kept as soon as it has ended."""
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / "outcomes.jsonl"
        found.touch()
        environment = os.environ | {"SIPO_GPU_OUTCOMES": str(found)}
        environment |= {"SIPO_GPU_TESTS": "cpu"} if bench.tiny else {}
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", "-W", "default"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        ) as running:
            try:
                for line in lines_of(running, found):
                    outcome = json.loads(line)
                    report.keep(outcome.pop("name"), outcome)
            finally:
                running.kill()
        if running.returncode not in (0, 1):  # 1: a test failed, which is kept
            report.keep("(pytest)", {"failed": f"exit status {running.returncode}"})


def lines_of(running: subprocess.Popen[bytes], found: Path) -> Iterator[str]:
    """Whole lines, as they are written, until the process has ended."""
    with found.open(encoding="utf-8") as lines:
        ended = False
        while not ended:
            try:
                running.wait(WAIT_S)
                ended = True
            except subprocess.TimeoutExpired:
                pass
            yield from lines
