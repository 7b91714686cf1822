"""The importance weight evaluated from its two Gaussians, and what it is made from."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from sipo.backbones.base import Prediction
from sipo.train.objective.importance import Variance

Level = tuple[float, float]
"""(a, b) of x = a x_0 + b eps."""
DIMENSIONS = 400


def level(backbone: Any, timestep: int) -> Level:
    """Asked of the backbone's own noising, in float64."""
    one, zero, t = torch.ones(1, 1, 1, 1).double(), torch.zeros(1, 1, 1, 1).double(), timestep
    at = torch.tensor([t])
    return float(backbone.add_noise(one, zero, at)), float(backbone.add_noise(zero, one, at))


def target_of(prediction: Prediction, x0: Tensor, noise: Tensor, at: Level) -> Tensor:
    a, b = at
    return {
        "epsilon": noise,
        "sample": x0,
        "v_prediction": a * noise - b * x0,  # Salimans & Ho 2022
        "flow": noise - x0,
    }[prediction]


def x0_of(prediction: Prediction, output: Tensor, noisy: Tensor, at: Level) -> Tensor:
    """What a prediction says of the clean latents; epsilon cannot where a = 0."""
    a, b = at
    if prediction == "epsilon":
        return (noisy - b * output) / a
    if prediction == "v_prediction":
        return a * noisy - b * output
    return noisy - b * output if prediction == "flow" else output


def log_ratio(
    prediction: Prediction, at_t: Level, at_s: Level, variance: Variance = "posterior"
) -> tuple[Tensor, Tensor]:
    """E_q[log p/q] = -KL(q || p) of one step with a wrong prediction, averaged over dimensions, and
    the prediction's mean squared error: float64.
    """
    chance = torch.Generator().manual_seed(0)
    x0, noise, slip = torch.randn(3, DIMENSIONS, dtype=torch.float64, generator=chance)
    (a_t, b_t), (a_s, b_s) = at_t, at_s
    x_t = a_t * x0 + b_t * noise
    ratio = a_t / a_s
    beta = b_t**2 - ratio**2 * b_s**2  # beta_{t|s}
    kernel_variance = beta if variance == "fixed_large" else beta * b_s**2 / b_t**2

    def kernel(x0_hat: Tensor) -> Normal:
        """q(x_s | x_t, x_0): the product of x_s | x_0 and x_t | x_s."""
        mean = ratio * b_s**2 / b_t**2 * x_t + a_s * beta / b_t**2 * x0_hat
        return Normal(mean, kernel_variance**0.5)

    truth = target_of(prediction, x0, noise, at_t)
    predicted = truth + 0.3 * slip
    expected = -kl_divergence(kernel(x0), kernel(x0_of(prediction, predicted, x_t, at_t))).mean()
    return expected, (predicted - truth).square().mean()
