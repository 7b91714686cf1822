"""The part that checks numbers: the tests that need a card, each with what it measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from on_card.report import Figures, Report
from on_card.speed import Bench

ROOT = Path(__file__).parents[2]


def tests(bench: Bench, report: Report) -> None:
    """`pytest -m gpu`; --tiny: the same on the CPU."""
    environment = os.environ | ({"SIPO_GPU_TESTS": "cpu"} if bench.tiny else {})
    with tempfile.TemporaryDirectory() as scratch:
        found = Path(scratch) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-m", "gpu", "tests/gpu", f"--junitxml={found}"]
        command += ["-o", "junit_family=xunit1"]  # which has properties of a test
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
        ) as running:
            try:
                running.wait()
            finally:
                running.kill()
        for case in ElementTree.parse(found).iter("testcase"):
            report.keep(case.attrib["name"], outcome(case))


def outcome(case: ElementTree.Element) -> Figures:
    figures: Figures = {kept.attrib["name"]: kept.attrib["value"] for kept in case.iter("property")}
    for kind in ("failure", "error", "skipped"):
        for found in case.iter(kind):
            key = "skipped" if kind == "skipped" else "failed"
            figures[key] = found.attrib["message"].partition("\n")[0]
    return figures | {"seconds": float(case.attrib["time"])}
