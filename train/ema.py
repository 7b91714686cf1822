"""Moving average of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sipo.common.files.stored_tensors import StoredTensor
from sipo.train.distributed.fsdp import copy_rows


class Ema:
    """average <- decay * average + (1 - decay) * weights. Without a decay it does nothing."""

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float | None) -> None:
        self.decay = decay
        self.weights = dict(weights)
        averaged = self.weights if decay else {}
        self.average = {name: value.detach().clone() for name, value in averaged.items()}

    @torch.no_grad()
    def update(self) -> None:
        if self.decay:
            weights: list[Tensor] = [self.weights[name] for name in self.average]
            torch._foreach_lerp_(list(self.average.values()), weights, 1 - self.decay)

    def current(self) -> Mapping[str, Tensor]:
        """What is meant to be used: the average where there is one, else the weights."""
        return self.average or self.weights

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the network has the averaged weights."""
        trained = {name: self.weights[name].detach().clone() for name in self.average}
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

    def load_state_dict(self, state: Mapping[str, Tensor | StoredTensor]) -> None:
        for name, average in self.average.items():
            copy_rows(average, state[name])
