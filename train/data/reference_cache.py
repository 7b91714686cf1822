"""Reference errors kept from epoch to epoch: two numbers a draw instead of a forward pass.

Holds while the reference does not move: `--reference moving` is refused with it. Draws come again
where `--reference_draws` says so. Which draws a process has follows from their positions in the
stream, so every process knows without asking what any of them lacks: all keep the same table, and
meet only in a step in which something is new.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from sipo.train.data.pair_batches import PairStream
from sipo.train.distributed.together import everyones_tensor, rank_and_size
from sipo.train.settings import TrainSettings

Compute = Callable[[Sequence[int]], tuple[Tensor, Tensor]]
"""Rows of the batch -> the reference's errors of winners and losers, (rows,) each."""


class ReferenceCache:
    """Errors of (winner, loser) by draw, (pairs * draws * timesteps_per_pair, 2) on the device.

    Part of a checkpoint: what a batch computes together differs in the last bit from what it
    computes apart.
    """

    def __init__(
        self, stream: PairStream, settings: TrainSettings, device: torch.device, sharded: bool
    ) -> None:
        """`sharded`: the reference is divided among the processes, so all compute or none does."""
        self.stream, self.sharded = stream, sharded
        self.draws, self.timesteps = settings.reference_draws or 1, settings.timesteps_per_pair
        count = len(stream.pairs) * self.draws * self.timesteps
        self.table = torch.full((count, 2), torch.nan, device=device)
        self.computed = torch.zeros(count, dtype=torch.bool)

    def errors(self, positions: Sequence[int], compute: Compute) -> tuple[Tensor, Tensor]:
        """(R,) each, of the pairs at `positions`, a range; other processes have its neighbours.

        `compute` is asked for the rows that are not known yet.
        """
        rank, size = rank_and_size()
        begin, count = positions[0] - rank * len(positions), len(positions)
        places = [self._places(begin + other * count, count) for other in range(size)]
        if not all(bool(self.computed[part].all()) for part in places):
            self._learn(places, rank, compute)
        winner, loser = self.table[self._on_device(places[rank])].unbind(1)
        return winner, loser

    def _learn(self, places: Sequence[Tensor], rank: int, compute: Compute) -> None:
        """The new draws of all processes; one that several have is its first one's."""
        new: list[list[int]] = []
        for part in places:
            new.append([])
            for row, place in enumerate(part.tolist()):
                if not self.computed[place]:
                    self.computed[place] = True
                    new[-1].append(row)
        found = self.table.new_zeros(max(map(len, new)), 2)
        if new[rank]:
            found[: len(new[rank])] = torch.stack(compute(new[rank]), dim=1)
        elif self.sharded:
            compute([0])  # for the others' sake
        for part, rows, values in zip(places, new, everyones_tensor(found), strict=True):
            self.table[self._on_device(part[rows])] = values[: len(rows)]

    def _places(self, first: int, count: int) -> Tensor:
        """Of the rows of `count` pairs in the table, (R,)."""
        stream = self.stream
        draws = torch.tensor(
            [
                stream.index(position) * self.draws + stream.epoch(position) % self.draws
                for position in range(first, first + count)
            ]
        )
        return (draws[:, None] * self.timesteps + torch.arange(self.timesteps)).flatten()

    def _on_device(self, places: Tensor) -> Tensor:
        return places.to(self.table.device, non_blocking=True)

    def state_dict(self) -> dict[str, Tensor]:
        return {"errors": self.table.cpu()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if "errors" not in state:  # of an earlier version, which kept them by name: computed anew
            return
        self.table.copy_(state["errors"])
        self.computed = ~self.table.isnan().any(1).cpu()
