"""Importance weights of a denoising timestep: schedules and weights, nothing else.

w(t) = p_theta(x_s | x_t) / q(x_s | x_t, x_0), with s the previous step of an N-step ancestral
chain. Both kernels are Gaussian with the same variance, so the expected log ratio, averaged over
dimensions, is a constant of the schedule times the prediction error: log w = -c(t, s) * mse.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Prediction = Literal["epsilon", "v_prediction", "sample", "flow"]
PairWeight = Literal["geometric", "min", "winner", "per_branch"]
Variance = Literal["posterior", "fixed_large"]


def previous_timestep(timesteps: Tensor, num_train_timesteps: int, chain_steps: int) -> Tensor:
    """s = t - T/N. A negative s is the clean end of the chain."""
    return timesteps - num_train_timesteps // chain_steps


def coefficient(
    prediction: Prediction, snr_t: Tensor, snr_s: Tensor, variance: Variance = "posterior"
) -> Tensor:
    """c(t, s) >= 0 in float64; infinite where SNR_s is (except for the "fixed large" variance).

    x0: c = 1/2 (SNR_s - SNR_t). Other parametrisations follow from mse_x0 = k(t) mse:
    `clean_error`'s k(t).
    """
    snr_t, snr_s = snr_t.double(), snr_s.double()
    if variance == "posterior":  # b_s^2/b_t^2 beta_{t|s}: the DDPM posterior's
        c_x0 = (snr_s - snr_t) / 2
    else:  # beta_{t|s}, b_t^2/b_s^2 times larger: c = 1/2 (a_s/b_t)^2 (1 - SNR_t/SNR_s)
        signal_s = 1 - _noise_level(prediction, snr_s) ** 2
        if prediction == "flow":
            signal_s = (1 - _noise_level(prediction, snr_s)) ** 2
        c_x0 = signal_s / _noise_level(prediction, snr_t) ** 2 * (1 - snr_t / snr_s) / 2
    return clean_error(prediction, c_x0, snr_t)


def clean_error(prediction: Prediction, mse: Tensor, snr_t: Tensor) -> Tensor:
    """mse_x0 = k(t) mse: epsilon 1/SNR_t; x0 1; v (variance preserving) 1 - abar_t; flow t^2."""
    if prediction == "epsilon":
        return mse / snr_t
    if prediction == "sample":
        return mse
    return mse * _noise_level(prediction, snr_t) ** 2


def _noise_level(prediction: Prediction, snr: Tensor) -> Tensor:
    """b of x_t = a x_0 + b eps, from SNR = a^2/b^2: a = 1 - b for flow, a^2 = 1 - b^2 else."""
    return 1 / (1 + snr.sqrt()) if prediction == "flow" else 1 / (1 + snr).sqrt()


def log_weight(c: Tensor, mse: Tensor, log_dimensions: float = 0.0) -> Tensor:
    """log w = -c * mse in float32, detached; -inf where c is infinite, so w = 0 there.

    `mse` is mse_theta for the denominator q, mse_theta - mse_other for `ref` and `behaviour`.
    `log_dimensions` is a * log(D): a = 0 averages the ratio over the D dimensions, a = 1 sums it
    (the true ratio).
    Detached, because otherwise DPO-C&M's loss falls when the model's error grows.
    """
    c = (c * math.exp(log_dimensions)).float()
    return torch.where(torch.isinf(c), -torch.inf, -c * mse.detach())


@dataclass(frozen=True)
class Weights:
    """Of a batch of pairs, all (B,): raw `w`, clipped per branch, and 1 for pairs that are kept."""

    w: Tensor
    winner: Tensor
    loser: Tensor
    mask: Tensor


def pair_weights(
    log_w_winner: Tensor,
    log_w_loser: Tensor,
    how: PairWeight = "geometric",
    eps_clip: float = 0.1,
    masking: bool = True,
) -> Weights:
    """wc = clip(w, 1 - eps, 1 + eps), mask = w >= 1 - eps (both branches for `per_branch`).

    The paper writes one w_theta(t) for a pair and does not say whose; `how` is our reading.
    """
    both = {
        "geometric": (log_w_winner + log_w_loser) / 2,
        "min": torch.minimum(log_w_winner, log_w_loser),
        "winner": log_w_winner,
        "per_branch": torch.minimum(log_w_winner, log_w_loser),
    }
    w = both[how].exp()
    branches = (log_w_winner.exp(), log_w_loser.exp()) if how == "per_branch" else (w, w)
    winner, loser = (branch.clamp(1 - eps_clip, 1 + eps_clip) for branch in branches)
    mask = (w >= 1 - eps_clip).float() if masking else torch.ones_like(w)
    return Weights(w, winner, loser, mask)
