"""Moving average of the trained weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from sipo.common.files.stored_tensors import StoredTensor
from sipo.train.distributed.fsdp import copy_rows


class Ema:
    """average <- d * average + (1 - d) * weights. Without a decay it does nothing.

    d rises to `decay`, so that a short run's average is not its first weights: `warmed_up`.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], decay: float | None) -> None:
        self.decay = decay
        self.weights = dict(weights)
        averaged = self.weights if decay else {}
        self.average = {name: value.detach().clone() for name, value in averaged.items()}

    def update(self, step: int) -> None:
        """After optimizer step `step`: 1, 2, ..."""
        if self.decay:
            self.move(warmed_up(self.decay, step))

    @torch.no_grad()
    def move(self, decay: float) -> None:
        weights: list[Tensor] = [self.weights[name] for name in self.average]
        torch._foreach_lerp_(list(self.average.values()), weights, 1 - decay)

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


class MovingReference(Ema):
    """reference <- d * reference + (1 - d) * policy at every optimizer step, in the reference's own
    memory (TR-DPO, Gorbatovski et al. 2024, soft update; their alpha is 1 - d).

    Of a LoRA both factors are averaged, as --ema_decay does.
    """

    def __init__(
        self, weights: Mapping[str, nn.Parameter], decay: float, reference: Mapping[str, Tensor]
    ) -> None:
        super().__init__(weights, None)
        self.fixed, self.average = decay, dict(reference)

    def update(self, step: int) -> None:
        if self.average:
            self.move(self.fixed)


def warmed_up(decay: float, step: int) -> float:
    """min(decay, (1 + n) / (10 + n)), n = step - 1, and 0 at the first: diffusers' EMAModel.

    The average is over about the last ninth of the steps until the decay is reached: .99 at step
    891, .999 at step 8,991.
    """
    done = step - 1
    return min(decay, (1 + done) / (10 + done)) if done else 0.0
