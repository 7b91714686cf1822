"""`--stop_on_winner_error`: how far the winners' errors are above the reference's, by now."""

from __future__ import annotations

from collections.abc import Mapping

WINDOW = 128
"""Pairs that the running means look back."""
FIRST = 32
"""Pairs before a run can end: of fewer, one pair would decide."""


class WinnerError:
    """growth = e / e_ref - 1, e and e_ref running means of the winners' errors and the reference's
    on the same timesteps and noise, so that what a pair is like does not count.

    e <- e + (step's mean - e) max(P / WINDOW, P / pairs so far), P pairs a step: the mean over all
    pairs, and from WINDOW pairs on over about the last so many.
    """

    def __init__(self, limit: float | None, pairs_per_step: int) -> None:
        self.limit, self.pairs_per_step = limit, pairs_per_step
        self.winner = self.reference = 0.0
        self.pairs = 0

    def update(self, winner: float, reference: float) -> None:
        """After a step with these means over all processes."""
        self.pairs += self.pairs_per_step
        share = min(1.0, self.pairs_per_step / min(WINDOW, self.pairs))
        self.winner += (winner - self.winner) * share
        self.reference += (reference - self.reference) * share

    @property
    def growth(self) -> float | None:
        """None before FIRST pairs."""
        return self.winner / self.reference - 1 if self.pairs >= FIRST else None

    @property
    def is_over(self) -> bool:
        """Whether the run is to end."""
        growth = self.growth
        return self.limit is not None and growth is not None and growth > self.limit

    def state_dict(self) -> dict[str, float]:
        return {"winner": self.winner, "reference": self.reference, "pairs": self.pairs}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.winner, self.reference = state["winner"], state["reference"]
        self.pairs = int(state["pairs"])
