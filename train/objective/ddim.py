"""One step of a stochastic sampler as a Gaussian: what D3PO needs of a schedule. Pure functions."""

from __future__ import annotations

import torch
from torch import Tensor

from sipo.backbones.base import Prediction, append_dims


def chain(num_train_timesteps: int, steps: int) -> Tensor:
    """`steps` timesteps from T - 1 down, evenly spaced ("trailing", Lin et al. 2024, table 2)."""
    spaced = torch.arange(num_train_timesteps, 0, -num_train_timesteps / steps)
    return (spaced.round().long() - 1)[:steps]


def transition(
    prediction: Prediction, noisy: Tensor, output: Tensor, snr_t: Tensor, snr_s: Tensor
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of p(x_s | x_t) for DDIM with eta = 1 (Song et al. 2021, eq. 12).

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
    variance = (b_s / b_t) ** 2 * (1 - (a_t / a_s) ** 2)
    mean = a_s * x0 + (b_s**2 - variance).clamp(min=0).sqrt() * noise
    return mean, variance.sqrt()


def _levels(snr: Tensor) -> tuple[Tensor, Tensor]:
    return (snr / (1 + snr)).sqrt(), (1 / (1 + snr)).sqrt()


def negative_log_density(states: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """-log p(x_s | x_t) without its constant, mean over dimensions, float32: (B, ...) -> (B,)."""
    return ((states.float() - mean.float()) / std.float()).square().flatten(1).mean(1) / 2
