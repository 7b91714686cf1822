"""Diffusion-DPO from shards to loss, against eq. 14 of Wallace et al. 2023 evaluated on its own."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from memory_pairs import MemoryPairs, Run

from sipo.backbones.registry import load_backbone
from sipo.train.objective.denoising_errors import PairSource
from sipo.train.objective.importance import Weights
from sipo.train.objective.losses import Errors, diffusion_dpo
from sipo.train.policy import Policy
from sipo.train.settings import make_settings

BETA = 5000.0


@pytest.mark.parametrize("full", [False, True])
def test_the_loss_is_the_published_formulas(
    run: Run, tmp_path: Path, tiny_folder: Path, full: bool
) -> None:
    """-log sigmoid(-beta/2 (|e - e_theta(w)|^2 - |e - e_ref(w)|^2 - (the same of the loser))),
    with means for the norms, as the authors' code has them, in float64 on the same predictions.
    """
    run("first", learning_rate=1e-3, full=full)
    given = {"init_weights": str(tmp_path / "first"), "full": full, "train_batch_size": 3}
    settings = make_settings({"out": str(tmp_path / "x"), "rank": 2, **given})
    policy = Policy(load_backbone(str(tiny_folder), denoiser_only=True), settings)
    source = PairSource(policy, MemoryPairs(5), settings)
    batch = source.draw(range(3))
    one = torch.ones(3)
    errors = source.measure(range(3), 0).errors
    ours = diffusion_dpo(errors, Weights(one, one, one, one), BETA).losses.detach()

    tuned = load_backbone(str(tiny_folder), tmp_path / "first", denoiser_only=True)
    base = load_backbone(str(tiny_folder), denoiser_only=True)
    for row in range(3):
        t, eps = batch.timesteps[row : row + 1], batch.noise[row : row + 1]
        inside = 0.0
        for sign, latents, place in ((1, batch.winner, row), (-1, batch.loser, 3 + row)):
            noisy = base.add_noise(latents[row : row + 1], eps, t)
            text = {name: value[place : place + 1] for name, value in batch.conditioning.items()}
            with torch.no_grad():
                theta, ref = (
                    model.predict(model.denoiser, noisy, t, text) for model in (tuned, base)
                )
            squared = [
                float(np.mean((eps.double().numpy() - e.double().numpy()) ** 2))
                for e in (theta, ref)
            ]
            inside += sign * (squared[0] - squared[1])
        published = math.log1p(math.exp(BETA / 2 * inside))
        assert abs(inside) > 1e-6
        assert float(ours[row]) == pytest.approx(published, rel=1e-3)


def test_to_1e_6_on_the_same_predictions() -> None:
    """In float64: at beta 5000 the float32 rounding of an error near 1 is worth 1e-4 in z."""
    chance = torch.Generator().manual_seed(0)
    eps = torch.randn((4, 4, 8, 8), generator=chance, dtype=torch.float64)
    moved = [0.03 * torch.randn(eps.shape, generator=chance, dtype=torch.float64) for _ in "1234"]
    theta_w, theta_l, ref_w, ref_l = (0.8 * eps + one for one in moved)
    norms = [(x - eps).square().flatten(1).mean(1) for x in (theta_w, theta_l, ref_w, ref_l)]
    one = torch.ones(4)
    ours = diffusion_dpo(Errors(*norms, cross=one), Weights(one, one, one, one), BETA).losses
    for row in range(4):
        a, b, c, d = (
            float(np.mean((x - eps)[row].numpy() ** 2)) for x in (theta_w, theta_l, ref_w, ref_l)
        )
        inside = -BETA / 2 * ((a - c) - (b - d))
        assert float(ours[row]) == pytest.approx(-math.log(1 / (1 + math.exp(-inside))), abs=1e-6)
