"""The sampler of D3PO's trajectories: a chain of Gaussian steps and a last one without noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from sipo.backbones.base import Backbone
from sipo.train.objective.ddim import Ddim
from sipo.train.objective.flow_sde import FlowSde
from sipo.train.settings import TrainSettings


class SamplerSteps(Protocol):
    @property
    def timesteps(self) -> Tensor:
        """(S,) from noise down: of the states of a trajectory."""
        ...

    def step(
        self, noisy: Tensor, output: Tensor, timesteps: Tensor, previous: Tensor, /
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(x_s | x_t) from the denoiser's `output` at x_t."""
        ...

    def clean(self, noisy: Tensor, output: Tensor, timesteps: Tensor, /) -> Tensor:
        """The clean latents after the last state."""
        ...


def steps_of(backbone: Backbone, shape: Sequence[int], settings: TrainSettings) -> SamplerSteps:
    """For latents of `shape` (C, ...)."""
    eta = {} if settings.d3po_eta is None else {"eta": settings.d3po_eta}
    if backbone.prediction == "flow":
        return FlowSde(backbone, backbone.noise_levels(settings.d3po_steps, shape), **eta)
    return Ddim(backbone, settings.d3po_steps, **eta)


def negative_log_density(states: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """-log p(x_s | x_t) without its constant, mean over dimensions: (B, ...) -> (B,), in float32
    or, where the states are, in float64.
    """
    dtype = torch.promote_types(states.dtype, torch.float32)
    return ((states.to(dtype) - mean.to(dtype)) / std.to(dtype)).square().flatten(1).mean(1) / 2
