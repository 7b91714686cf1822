"""Reference errors kept from epoch to epoch: two numbers a draw instead of a forward pass.

Holds while the reference does not move, and it never does within a run. Draws come again where
`--reference_draws` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor


class ReferenceCache:
    """Draw -> errors of (winner, loser). Part of a checkpoint: what a batch computes together
    differs in the last bit from what it computes apart."""

    def __init__(self) -> None:
        self.known: dict[str, tuple[float, float]] = {}

    def errors(
        self, draws: Sequence[str], compute: Callable[[Sequence[int]], tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, Tensor]:
        """(R,) each, on the CPU; `compute` is asked for the rows that are not known yet."""
        missing = [row for row, draw in enumerate(draws) if draw not in self.known]
        if missing:
            found = zip(*(side.tolist() for side in compute(missing)), strict=True)
            self.known.update(zip((draws[row] for row in missing), found, strict=True))
        winner, loser = torch.tensor([self.known[draw] for draw in draws]).unbind(1)
        return winner, loser

    def state_dict(self) -> dict[str, tuple[float, float]]:
        return dict(self.known)

    def load_state_dict(self, state: Mapping[str, tuple[float, float]]) -> None:
        self.known = dict(state)
