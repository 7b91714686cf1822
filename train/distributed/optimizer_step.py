"""One optimizer step: the gradients of all parts and processes, divided, clipped and applied."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor

from sipo.train.distributed.fsdp import OptimizerState, full_tensor, place_optimizer_state
from sipo.train.policy import Policy
from sipo.train.settings import TrainSettings

if TYPE_CHECKING:
    from accelerate import Accelerator


class Stepper:
    """On one process and on several, by DDP or FSDP2. Its state is `optimizer.state_dict()`."""

    def __init__(
        self,
        accelerator: Accelerator,
        settings: TrainSettings,
        policy: Policy,
        optimizer: torch.optim.Optimizer,
    ) -> None:
        self.accelerator, self.policy, self.optimizer = accelerator, policy, optimizer
        self.max_grad_norm = settings.max_grad_norm
        self.parameters = list(policy.trainable().values())
        self.prepared = accelerator.prepare(optimizer)

    def micro_step(self, last: bool) -> AbstractContextManager[object]:
        """Around a forward and backward pass; processes exchange gradients in the last one."""
        if last:
            return nullcontext()
        waits: AbstractContextManager[object] = self.accelerator.no_sync(self.policy.network)
        return waits

    def backward(self, loss: Tensor) -> None:
        self.accelerator.backward(loss)

    def step(self, num_kept: float) -> Tensor:
        """Mean over kept pairs = sum(L) / max(sum(keep), 1), over all processes and parts.

        Several processes have averaged their gradients already, so theirs is multiplied back.
        Returns the gradient's norm before it is clipped; one that is not finite changes nothing.
        """
        self.accelerator.unscale_gradients(self.prepared)
        for parameter in self.parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(self.accelerator.num_processes / max(num_kept, 1.0))
        norm = full_tensor(torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))
        # fp16's loss scaler skips a step with infinite gradients by itself.
        if norm.isfinite() or self.accelerator.scaler:
            self.prepared.step()
        self.prepared.zero_grad()
        return norm

    def state_dict(self) -> OptimizerState:
        return cast(OptimizerState, self.optimizer.state_dict())

    def load_state_dict(self, state: OptimizerState) -> None:
        placed = place_optimizer_state(state, self.parameters)
        self.optimizer.load_state_dict({**placed})
