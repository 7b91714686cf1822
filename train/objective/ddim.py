"""DDIM as a stochastic sampler, one step as a Gaussian (Song et al. 2021)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from sipo.backbones.base import Backbone, Prediction, append_dims

CLEAN_SNR = 1e12
"""Infinite but for rounding: a_s = 1, b_s = 0."""


@dataclass(frozen=True)
class Ddim:
    """In `count` steps; `eta` 1 is D3PO's own."""

    backbone: Backbone
    count: int
    eta: float = 1.0

    @property
    def timesteps(self) -> Tensor:
        return chain(self.backbone.num_train_timesteps, self.count)

    def step(
        self, noisy: Tensor, output: Tensor, timesteps: Tensor, previous: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of p(x_s | x_t) of (B, ...) rows."""
        snr_t, snr_s = (self.backbone.snr(place) for place in (timesteps, previous))
        return transition(self.backbone.prediction, noisy, output, snr_t, snr_s, self.eta)

    def clean(self, noisy: Tensor, output: Tensor, timesteps: Tensor) -> Tensor:
        """To the clean end the step is deterministic."""
        snr = self.backbone.snr(timesteps)
        end = torch.full_like(snr, CLEAN_SNR)
        return transition(self.backbone.prediction, noisy, output, snr, end, self.eta)[0]


def chain(num_train_timesteps: int, steps: int) -> Tensor:
    """`steps` timesteps from T - 1 down, evenly spaced ("trailing", Lin et al. 2024, table 2)."""
    spaced = torch.arange(num_train_timesteps, 0, -num_train_timesteps / steps)
    return (spaced.round().long() - 1)[:steps]


def transition(
    prediction: Prediction,
    noisy: Tensor,
    output: Tensor,
    snr_t: Tensor,
    snr_s: Tensor,
    eta: float = 1.0,
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of p(x_s | x_t) (Song et al. 2021, eq. 12 and 16).

    `snr_t`, `snr_s` are (B,) float64, variance preserving: a^2 = snr / (1 + snr), b^2 = 1 - a^2.
    """
    a_t, b_t = (append_dims(value, noisy).to(noisy.dtype) for value in _levels(snr_t))
    a_s, b_s = (append_dims(value, noisy).to(noisy.dtype) for value in _levels(snr_s))
    if prediction == "epsilon":
        x0, noise = (noisy - b_t * output) / a_t, output
    elif prediction == "v_prediction":
        x0, noise = a_t * noisy - b_t * output, a_t * output + b_t * noisy
    else:
        x0, noise = output, (noisy - a_t * output) / b_t
    variance = eta**2 * ((b_s / b_t) ** 2 * (1 - (a_t / a_s) ** 2))
    mean = a_s * x0 + (b_s**2 - variance).clamp(min=0).sqrt() * noise
    return mean, variance.sqrt()


def _levels(snr: Tensor) -> tuple[Tensor, Tensor]:
    return (snr / (1 + snr)).sqrt(), (1 / (1 + snr)).sqrt()
