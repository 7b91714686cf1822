"""One optimizer step: the gradients of all parts and processes, divided, clipped and applied."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import torch
from torch import Tensor

from sipo.train.distributed.fsdp import divided_optimizer_state, whole
from sipo.train.policy import Policy
from sipo.train.settings import TrainSettings


class Stepper:
    """On one process and on several, by DDP or FSDP2. Its state is `optimizer.state_dict()`."""

    def __init__(
        self,
        accelerator: Any,
        settings: TrainSettings,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.accelerator, self.policy, self.optimizer = accelerator, policy, optimizer
        self.max_grad_norm = settings.max_grad_norm
        self.parameters = list(policy.trainable().values())
        self.prepared = accelerator.prepare(optimizer)

    def part(self, last: bool) -> AbstractContextManager[Any]:
        """Around a forward and backward pass; processes exchange gradients in the last one."""
        if last:
            return nullcontext()
        return cast(AbstractContextManager[Any], self.accelerator.no_sync(self.policy.network))

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def step(self, kept: float) -> Tensor:
        """Mean over kept pairs = sum(L) / max(sum(keep), 1), over all processes and parts.

        Several processes have averaged their gradients already, so theirs is multiplied back.
        Returns the gradient's norm before it is clipped; one that is not finite changes nothing.
        """
        self.accelerator.unscale_gradients(self.prepared)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(self.accelerator.num_processes / max(kept, 1.0))
        norm = whole(torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))
        # fp16's loss scaler skips a step with infinite gradients by itself.
        if norm.isfinite() or self.accelerator.scaler:
            self.prepared.step()
        self.prepared.zero_grad()
        return norm

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.optimizer.load_state_dict(divided_optimizer_state(dict(state), self.parameters))
