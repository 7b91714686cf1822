"""Trainings that ended before their last step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sipo.loop.attempts import Attempt

if TYPE_CHECKING:
    from sipo.train.checkpoint_files import RunSummary


def has_stopped(out: Path, attempt: Attempt) -> bool:
    """By one of sipo-train's options."""
    found = _summary(out, attempt)
    return found is not None and found.stopped


def is_lost(out: Path, attempt: Attempt) -> bool:
    """Whether its loss was not finite: what it has come to is not worth an evaluation."""
    return bool(why_lost(out, attempt))


def why_lost(out: Path, attempt: Attempt) -> str:
    """The step and the pairs of that loss; "" where all were finite."""
    found = _summary(out, attempt)
    return found.not_finite if found else ""


def _summary(out: Path, attempt: Attempt) -> RunSummary | None:
    from sipo.train.checkpoint_files import summary

    return summary(out / attempt.name("train"))
