"""Closed forms of the importance weight against the Gaussians they come from."""

from __future__ import annotations

import pytest
import torch
from diffusers import DDPMScheduler
from gaussians import log_ratio
from torch import Tensor

from sipo.train.objective.importance import (
    Prediction,
    Variance,
    coefficient,
    log_weight,
    pair_weights,
    previous_timestep,
)


def sd15_snr(timestep: Tensor) -> Tensor:
    schedule = DDPMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, num_train_timesteps=1000
    )
    alphas = schedule.alphas_cumprod.double()[timestep]
    return alphas / (1 - alphas)


def test_check_values_of_the_sd15_schedule() -> None:
    """c(63,43) .2752, c(100,80) .1648, c(200,180) .0936, c(500,480) .0711, c(900,880) .1153."""
    t = torch.tensor([63, 100, 200, 500, 900])
    c = coefficient("epsilon", sd15_snr(t), sd15_snr(previous_timestep(t, 1000, 50)))
    expected = torch.tensor([0.2752, 0.1648, 0.0936, 0.0711, 0.1153], dtype=torch.float64)
    torch.testing.assert_close(c, expected, atol=5e-5, rtol=0)


def test_the_papers_border_at_t_63() -> None:
    """w(63) = 0.9 where the model's error is 0.383: exp(-0.2752 * 0.383) = 0.9000."""
    c = coefficient("epsilon", sd15_snr(torch.tensor(63)), sd15_snr(torch.tensor(43)))
    assert float(log_weight(c, torch.tensor(0.383)).exp()) == pytest.approx(0.9, abs=1e-4)


@pytest.mark.parametrize("variance", ["posterior", "fixed_large"])
@pytest.mark.parametrize("prediction", ["epsilon", "sample", "v_prediction", "flow"])
def test_closed_form_equals_the_gaussians(prediction: Prediction, variance: Variance) -> None:
    """Between noise levels 0.6 and 0.5; each family's own schedule: tests/backbones."""
    levels = [((1 - u) if prediction == "flow" else (1 - u**2) ** 0.5, u) for u in (0.6, 0.5)]
    expected, mse = log_ratio(prediction, *levels, variance)
    snr_t, snr_s = torch.tensor([(a / b) ** 2 for a, b in levels], dtype=torch.float64)
    c = coefficient(prediction, snr_t, snr_s, variance)
    torch.testing.assert_close(-c * mse, expected)


def test_the_clean_end_has_weight_zero() -> None:
    """T/N = 20: from t = 19 the next step is clean; SNR_s and c are infinite, w = 0, no nan."""
    assert previous_timestep(torch.tensor([19, 20]), 1000, 50).tolist() == [-1, 0]
    c = coefficient("epsilon", torch.tensor(4.0), torch.tensor(torch.inf))
    assert log_weight(c, torch.tensor([0.0, 0.5])).exp().tolist() == [0, 0]
    finite = coefficient("epsilon", torch.tensor(4.0), torch.tensor(torch.inf), "fixed_large")
    assert float(finite) == pytest.approx(0.5 / 0.8)  # 1/2 beta / (abar_t (1 - abar_t)), beta = .2


def test_clip_and_mask() -> None:
    """w = .95 is kept as it is, .80 clipped to .90 and masked, 1.20 clipped to 1.10 and kept."""
    log_w = torch.tensor([0.95, 0.80, 1.20]).log()
    weights = pair_weights(log_w, log_w)
    torch.testing.assert_close(weights.winner, torch.tensor([0.95, 0.90, 1.10]))
    assert weights.mask.tolist() == [1, 0, 1]
    assert pair_weights(log_w, log_w, masking=False).mask.tolist() == [1, 1, 1]


def test_one_weight_from_two_branches() -> None:
    """w_w = .96, w_l = .94: geometric .94995, min .94, winner .96, per branch both."""
    winner, loser = torch.tensor([0.96]).log(), torch.tensor([0.94]).log()
    expected = {"geometric": (0.96 * 0.94) ** 0.5, "min": 0.94, "winner": 0.96}
    for how, value in expected.items():
        weights = pair_weights(winner, loser, how)  # type: ignore[arg-type]
        assert float(weights.winner) == float(weights.loser) == pytest.approx(value, rel=1e-6)
    both = pair_weights(winner, loser, "per_branch")
    assert (float(both.winner), float(both.loser)) == pytest.approx((0.96, 0.94))


def test_no_gradient_through_the_weight() -> None:
    mse = torch.tensor([0.5], requires_grad=True)
    assert not log_weight(torch.tensor([0.1]), mse).requires_grad
