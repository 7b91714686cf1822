"""Rectified flow with whole timesteps (Liu et al. 2022; Esser et al. 2024, section 2).

`timesteps` are in [0, T) and sigma(t) = (t + 1) / T: t = -1 is the clean end, t = T - 1 pure noise.
x_t = (1 - sigma) x_0 + sigma eps, and the target is the velocity eps - x_0. A scheduler's shift
moves the timesteps of sampling only; training draws noise levels as `--train_timesteps` and
`--timestep_distribution` say.
"""

from __future__ import annotations

import torch
from diffusers import ModelMixin
from torch import Tensor

from sipo.backbones.base import Schedule, append_dims
from sipo.backbones.pipeline import PipelineBackbone


class FlowBackbone(PipelineBackbone):
    prediction = "flow"

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        steps = schedule["num_train_timesteps"]
        assert isinstance(steps, int)
        self.num_train_timesteps = steps

    def sigma(self, timesteps: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The noise level of (B,) timesteps, whole or not."""
        return (timesteps.to(dtype) + 1) / self.num_train_timesteps

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        sigma = append_dims(self.sigma(timesteps, latents.dtype), latents)
        return (1 - sigma) * latents + sigma * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return noise - latents

    def snr(self, timesteps: Tensor) -> Tensor:
        sigma = self.sigma(timesteps, torch.float64)
        return ((1 - sigma) / sigma) ** 2
