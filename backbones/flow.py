"""Rectified flow with whole timesteps (Liu et al. 2022; Esser et al. 2024, section 2).

`timesteps` are in [0, T) and sigma(t) = (t + 1) / T: t = -1 is the clean end, t = T - 1 pure noise.
x_t = (1 - sigma) x_0 + sigma eps, and the target is the velocity eps - x_0. A scheduler's shift
moves the timesteps of sampling only; training draws noise levels as `--train_timesteps` and
`--timestep_distribution` say.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from math import prod
from typing import ClassVar

import numpy as np
import torch
from diffusers import ModelMixin
from torch import Tensor

from sipo.backbones.base import Schedule, append_dims
from sipo.backbones.pipeline import PATCH, PipelineBackbone


class FlowBackbone(PipelineBackbone):
    prediction = "flow"
    even_levels: ClassVar[bool] = False
    """Whether its pipeline asks the scheduler for 1, (n - 1) / n, ..., 1 / n, then shifted."""

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        steps = schedule["num_train_timesteps"]
        assert isinstance(steps, int)
        self.num_train_timesteps = steps

    def sigma(self, timesteps: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The noise level of (B,) timesteps, whole or not."""
        return (timesteps.to(dtype) + 1) / self.num_train_timesteps

    def noise_levels(self, steps: int, shape: Sequence[int]) -> Tensor:
        """The pipeline's own: its scheduler's, shifted by the latents' size where it says so."""
        scheduler = deepcopy(self._whole.scheduler)
        given: dict[str, object] = {}
        if self.even_levels:
            given["sigmas"] = self._unshifted(steps)
        if scheduler.config.get("use_dynamic_shifting"):
            given["mu"] = self._mu(scheduler.config, steps, shape)
        scheduler.set_timesteps(steps, **given)
        return torch.as_tensor(scheduler.sigmas)[:steps].double()

    def _unshifted(self, steps: int) -> list[float]:
        """What its scheduler is asked for, of `even_levels`."""
        return list(np.linspace(1, 1 / steps, steps))

    def _mu(self, config: Schedule, steps: int, shape: Sequence[int]) -> float:
        """What the pipeline shifts by, for latents of `shape` (C, ...)."""
        return _shift_of(config, self._sequence_length(shape))

    def _sequence_length(self, shape: Sequence[int]) -> int:
        """That the denoiser makes of latents of `shape` (C, ...), the text's not among them."""
        return prod(shape[1:]) // PATCH**2

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        sigma = append_dims(self.sigma(timesteps, latents.dtype), latents)
        return (1 - sigma) * latents + sigma * noise

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return noise - latents

    def snr(self, timesteps: Tensor) -> Tensor:
        sigma = self.sigma(timesteps, torch.float64)
        return ((1 - sigma) / sigma) ** 2


def _shift_of(config: Schedule, tokens: int) -> float:
    """mu of a picture: a line through two sizes (Esser et al. 2024, section 5.3.2, as FLUX's code
    has it; the defaults are the pipelines').
    """
    few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
    low, high = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
    x1, x2, y1, y2 = (float(str(value)) for value in (few, many, low, high))
    return y1 + (y2 - y1) * (tokens - x1) / (x2 - x1)
