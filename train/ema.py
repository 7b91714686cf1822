"""Moving average of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sipo.train.distributed.fsdp import shard_like


class Ema:
    """average <- decay * average + (1 - decay) * weights. Without a decay it does nothing."""

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float | None) -> None:
        self.decay = decay
        self.weights = dict(weights) if decay else {}
        self.average = {name: value.detach().clone() for name, value in self.weights.items()}

    @torch.no_grad()
    def update(self) -> None:
        for name, average in self.average.items():
            average.lerp_(self.weights[name], 1 - (self.decay or 0.0))

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the network has the averaged weights."""
        trained = {name: value.detach().clone() for name, value in self.weights.items()}
        self._put(self.average)
        try:
            yield
        finally:
            self._put(trained)

    @torch.no_grad()
    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, value in values.items():
            self.weights[name].copy_(value)

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.average)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, value in state.items():
            self.average[name].copy_(shard_like(value, self.average[name]))
