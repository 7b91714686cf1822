"""A step's rows where data come folder by folder."""

from __future__ import annotations

from typing import cast

from sipo.train.data.pair_batches import Pairs
from sipo.train.data.reference_cache import ReferenceCache
from sipo.train.data.turns import Turns
from sipo.train.objective.denoising_errors import Measured, PairSource
from sipo.train.policy import Policy
from sipo.train.settings import TrainSettings


class TurnSource:
    """The rows of a step, from the part whose turn it is."""

    cache: ReferenceCache | None = None  # of parts that are not there yet, so there is none

    def __init__(self, policy: Policy, turns: Turns, settings: TrainSettings) -> None:
        self.policy, self.turns, self.settings = policy, turns, settings
        self.turn = -1

    def measure(self, positions: range, step: int) -> Measured:
        turn = step // self.turns.steps
        if turn != self.turn:
            part = cast(Pairs, self.turns.parts[turn])
            self.source, self.turn = PairSource(self.policy, part, self.settings), turn
        return self.source.measure(positions, step)
