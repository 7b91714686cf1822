"""What only a card can show: `pytest -m gpu`. SIPO_GPU_TESTS=cpu runs it on the CPU, which shows
that the tests themselves work, and nothing else.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

ON_CPU = os.environ.get("SIPO_GPU_TESTS") == "cpu"
OUTCOMES = os.environ.get("SIPO_GPU_OUTCOMES")
"""A file that gets a line a test, as soon as it has ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "needs a CUDA card"
    skips = pytest.mark.skipif(not (ON_CPU or torch.cuda.is_available()), reason=reason)
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.gpu)
            item.add_marker(skips)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if OUTCOMES is None or (report.when != "call" and report.passed):
        return
    outcome: dict[str, object] = {"name": report.nodeid.rpartition("::")[2]}
    outcome |= {"seconds": round(report.duration, 2), **dict(report.user_properties)}
    if not report.passed:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else last_line(report)
        outcome[report.outcome] = reason
    with Path(OUTCOMES).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps(outcome) + "\n")


def last_line(report: pytest.TestReport) -> str:
    """The error itself: the last line that pytest marks with E."""
    lines = [line for line in report.longreprtext.splitlines() if line.startswith("E ")]
    return lines[-1][1:].strip() if lines else report.longreprtext[-200:]


@pytest.fixture
def card() -> torch.device:
    return torch.device("cpu" if ON_CPU else "cuda")
