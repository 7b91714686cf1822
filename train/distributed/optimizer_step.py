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

    def divide_and_clip(self, num_kept: Tensor) -> Tensor:
        """Mean over kept pairs = sum(L) / max(sum(keep), 1), over all processes and parts.

        Several processes have averaged their gradients already, so theirs is multiplied back.
        Returns the gradient's norm before it is clipped, on the device: nobody waits for it here.
        """
        self.accelerator.unscale_gradients(self.prepared)
        gradients = [value.grad for value in self.parameters if value.grad is not None]
        torch._foreach_mul_(gradients, self.accelerator.num_processes / num_kept.clamp(min=1))
        return full_tensor(torch.nn.utils.clip_grad_norm_(self.parameters, self.max_grad_norm))

    def apply(self) -> None:
        """fp16's loss scaler skips a step with infinite gradients by itself."""
        self.prepared.step()
        self.prepared.zero_grad()

    def state_dict(self) -> OptimizerState:
        return cast(OptimizerState, self.optimizer.state_dict())

    def load_state_dict(self, state: OptimizerState) -> None:
        placed = place_optimizer_state(state, self.parameters)
        self.optimizer.load_state_dict({**placed})
