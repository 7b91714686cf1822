"""Judges of which one process's is another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any


def breaks_on_the_second(images: Sequence[Any], prompts: Sequence[Any]) -> list[float]:
    """A mistake in a judge, which no image causes."""
    if os.environ["RANK"] == "1":
        raise RuntimeError("the second judge is broken")
    return [1.0] * len(images)


def fails(images: Sequence[Any], prompts: Sequence[Any]) -> list[float]:
    raise ValueError(f"cannot see {prompts[0].text}")
