"""A round's trainings by name: `round-2/train`, and `round-2/train-2` where that was rejected."""

from __future__ import annotations

from dataclasses import dataclass

ATTEMPTS = 2
"""Trainings of a round."""


@dataclass(frozen=True, order=True)
class Attempt:
    """Of round 0, the base, nothing is trained."""

    round: int
    number: int = 1

    def name(self, stage: str) -> str:
        """Of a stage's folder in the loop's."""
        again = f"-{self.number}" if self.number > 1 else ""
        return f"round-{self.round}/{stage}{again}"

    def __str__(self) -> str:
        again = " trained again" if self.number > 1 else ""
        return f"round {self.round}{again}" if self.round else "the base"


BASE = Attempt(0)
