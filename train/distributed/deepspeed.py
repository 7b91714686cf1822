"""DeepSpeed's ZeRO 1 and 2: optimizer, and gradients, divided among processes; weights whole.

Only the engine of DeepSpeed is used. Its optimizer works on this process's part of all trained
weights laid end to end; what is saved is the ordinary optimizer's state, whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from sipo.train.distributed.accelerate_env import zero_stage
from sipo.train.distributed.stepper import Stepper
from sipo.train.settings import TrainSettings

MOMENTS = ("exp_avg", "exp_avg_sq")  # AdamW's
BUCKET = 500_000_000  # values, DeepSpeed's default


class Zero(Stepper):
    def _start(self, settings: TrainSettings) -> None:
        """Raises ValueError where DeepSpeed is missing."""
        try:
            import deepspeed
        except ImportError:
            raise ValueError(
                "accelerate is configured for DeepSpeed, which is missing; pip install 'sipo[zero]'"
            ) from None
        deepspeed.utils.logger.setLevel("WARNING")
        config: dict[str, Any] = {
            "train_micro_batch_size_per_gpu": settings.train_batch_size,
            "gradient_accumulation_steps": settings.gradient_accumulation_steps,
            "gradient_clipping": settings.max_grad_norm,
            "steps_per_print": 10**9,
        }
        size = sum(parameter.numel() for parameter in self.parameters)
        config["zero_optimization"] = {
            "stage": zero_stage(),
            "reduce_bucket_size": min(size, BUCKET),
        }
        if settings.mixed_precision == "bf16":  # else its engine would switch autocast off
            config["torch_autocast"] = {"enabled": True, "dtype": "bfloat16"}
        self.engine, self.zero, *_ = deepspeed.initialize(
            model=self.policy.denoiser, optimizer=self.optimizer, config=config
        )
        self.policy.network = self.engine

    def part(self, last: bool) -> AbstractContextManager[Any]:
        self.engine.set_gradient_accumulation_boundary(last)
        return nullcontext()

    def backward(self, loss: Tensor) -> None:
        self.engine.backward(loss, scale_wrt_gas=False)

    def step(self, kept: float) -> Tensor:
        """The division is that by a loss scale, which DeepSpeed does before it clips."""
        self.zero.loss_scaler.cur_scale = max(kept, 1.0) / self.accelerator.num_processes
        self.engine.step()
        self.zero.loss_scaler.cur_scale = 1.0
        return torch.as_tensor(self.engine.get_global_grad_norm()).float()

    @property
    def _part(self) -> Tensor:
        """This process's part of the weights, what the optimizer changes; padded at the end."""
        [part] = self.zero.single_partition_of_fp32_groups
        return part  # type: ignore[no-any-return]

    def state_dict(self) -> dict[str, Any]:
        own = self.optimizer.state[self._part]
        state: dict[int, dict[str, Any]] = {
            index: {"step": own["step"].clone()} for index in range(len(self.parameters))
        }
        for moment in MOMENTS:
            parts = [torch.empty_like(own[moment]) for _ in range(self.accelerator.num_processes)]
            torch.distributed.all_gather(parts, own[moment])
            laid_out = torch.cat(parts)
            for index, parameter in enumerate(self.parameters):
                value, laid_out = laid_out.tensor_split([parameter.numel()])
                state[index][moment] = value.view_as(parameter).clone()
        group = {k: v for k, v in self.optimizer.param_groups[0].items() if k != "params"}
        return {"state": state, "param_groups": [group | {"params": list(state)}]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """After the policy's weights, which DeepSpeed copies here."""
        self.zero.refresh_fp32_params()
        part, rank = self._part, self.accelerator.process_index
        saved = list(state["state"].values())
        own = {"step": saved[0]["step"].clone()}
        for moment in MOMENTS:
            laid_out = torch.cat([value[moment].flatten() for value in saved]).to(part)
            padding = part.numel() * self.accelerator.num_processes - laid_out.numel()
            padded = torch.nn.functional.pad(laid_out, (0, padding))
            own[moment] = padded.view(-1, part.numel())[rank].clone()
        self.optimizer.state[part] = own
        for group, before in zip(self.optimizer.param_groups, state["param_groups"], strict=True):
            group |= {key: value for key, value in before.items() if key != "params"}
