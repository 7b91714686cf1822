"""What every family's schedule must do, whatever its latents look like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from gaussians import level, log_ratio, target_of, x0_of

from sipo.train.monitor import weight_calibration
from sipo.train.objective.denoising_errors import timestep_coefficient
from sipo.train.objective.importance import log_weight
from sipo.train.settings import make_settings

STEP = 20  # of the chain: T / N
TIMESTEPS = (STEP, 63, 500, 999)


def check_round_trips(backbone: Any) -> None:
    """noise, v, velocity -> x_0 -> noise and back, in float64: nothing is lost."""
    x0, noise = torch.randn(2, 1, 4, 3, 4, 4, dtype=torch.float64)
    for t in TIMESTEPS:
        at = torch.tensor([t])
        a, b = level(backbone, t)
        noisy, target = backbone.add_noise(x0, noise, at), backbone.target(x0, noise, at)
        torch.testing.assert_close(noisy, a * x0 + b * noise, rtol=0, atol=1e-12)
        clean = x0_of(backbone.prediction, target, noisy, (a, b))
        torch.testing.assert_close(clean, x0, rtol=0, atol=1e-11)
        again = (noisy - a * clean) / b
        torch.testing.assert_close(again, noise, rtol=0, atol=1e-11)
        back = target_of(backbone.prediction, clean, again, (a, b))
        torch.testing.assert_close(back, target, rtol=0, atol=1e-11)


def check_weight(backbone: Any) -> None:
    """log w = -c mse is the two Gaussians' own, on this schedule."""
    t = torch.tensor(TIMESTEPS)
    c = timestep_coefficient(backbone, t, make_settings({"num_chain_steps": 1000 // STEP}))
    for timestep, coefficient in zip(TIMESTEPS, c, strict=True):
        levels = level(backbone, timestep), level(backbone, timestep - STEP)
        expected, mse = log_ratio(backbone.prediction, *levels)
        torch.testing.assert_close(-coefficient * mse, expected, rtol=1e-9, atol=0)


def check_calibration(backbone: Any, pairs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """`sipo-train calibrate`: its curve is the model's, and its weights are those of the curve."""
    monkeypatch.setattr(weight_calibration, "POINTS", 6)
    given: dict[str, Any] = {"num_chain_steps": 1000 // STEP, "expert": backbone.expert or None}
    settings, first = make_settings(given), backbone.timesteps.start
    curve = weight_calibration.measure_curve(settings, backbone, pairs)
    w = torch.tensor(curve["w"])
    assert w.isfinite().all()
    assert len(w) == len(backbone.timesteps)
    assert first or w[:STEP].tolist() == [0] * STEP
    check_proposal(backbone, curve)
    assert curve["share_below"] == pytest.approx(float((w < 0.9).float().mean()), abs=2e-3)
    for timestep in list(curve["mse"])[2:]:
        c = timestep_coefficient(backbone, torch.tensor(timestep), settings)
        expected = log_weight(c, torch.tensor(curve["mse"][timestep])).exp()
        assert curve["w"][timestep - first] == pytest.approx(float(expected), abs=1e-5)


def check_proposal(backbone: Any, curve: dict[str, Any]) -> None:
    """Of all numbers of chain steps none has a share below 0.9 that is nearer to 6.4 %."""
    every = torch.tensor(backbone.timesteps)
    points, errors = list(curve["mse"]), list(curve["mse"].values())
    error = torch.from_numpy(np.interp(every.numpy(), points, errors)).float()

    def distance(chain_steps: int) -> float:
        settings = make_settings({"num_chain_steps": chain_steps})
        w = log_weight(timestep_coefficient(backbone, every, settings), error).exp()
        return abs(float((w < 0.9).double().mean()) - weight_calibration.PAPERS_SHARE)

    nearest = min(distance(chain_steps) for chain_steps in weight_calibration.CHAINS)
    assert distance(curve["proposed_num_chain_steps"]) == pytest.approx(nearest, abs=2e-3)
    most = max(distance(chain_steps) for chain_steps in weight_calibration.CHAINS)
    assert most > nearest + 0.01 or backbone.timesteps.start
