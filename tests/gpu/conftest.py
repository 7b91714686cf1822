"""What only a card can show: `pytest -m gpu`. SIPO_GPU_TESTS=cpu runs it on the CPU, which shows
that the tests themselves work, and nothing else.
"""

from __future__ import annotations

import os

import pytest
import torch

ON_CPU = os.environ.get("SIPO_GPU_TESTS") == "cpu"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    reason = "needs a CUDA card"
    skips = pytest.mark.skipif(not (ON_CPU or torch.cuda.is_available()), reason=reason)
    for item in items:
        if item.path.is_relative_to(os.path.dirname(__file__)):
            item.add_marker(pytest.mark.gpu)
            item.add_marker(skips)


@pytest.fixture
def card() -> torch.device:
    return torch.device("cpu" if ON_CPU else "cuda")
