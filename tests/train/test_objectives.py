"""The objectives on hand-worked numbers."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from sipo.train.objective.importance import Weights, pair_weights
from sipo.train.objective.losses import OBJECTIVES, Errors, Scored, add_terms, dpo_cm, sipo
from sipo.train.objective.registry import OBJECTIVE_NAMES

BETA = 2.0  # psi = -(mse_theta - mse_ref)


def errors(winner: float, loser: float, reference: float = 0.4) -> Errors:
    values = (torch.tensor([value]) for value in (winner, loser, reference, reference, 0.2))
    rewards = (torch.tensor([value]) for value in (1.0, 0.0, 0.3, 0.3))
    return Errors(*values, scored=Scored(*rewards, clean=None))


def weights(w: float) -> Weights:
    log_w = torch.tensor([w]).log()
    return pair_weights(log_w, log_w)


DPO_FAMILY = ("sipo", "dpo-cm", "diffusion-dpo", "flow-dpo", "diffusion-sdpo")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("diffusion-dpo", 0.5981389),
        ("flow-dpo", 0.5981389),
        ("diffusion-sdpo", 0.5981389),
        ("dpo-cm", 0.5682319),
        ("sipo", 0.6026569),
        ("diffusion-kto", 0.4501660),
        ("ipo", 0.09),
        ("hinge", 0.8),
        ("sft", 0.3),
    ],
)
def test_hand_worked_loss(name: str, expected: float) -> None:
    """mse .3 and .5 against .4: psi_w = .1, psi_l = -.1, z = .2; w = .95 lies within the clip.

    DPO: log(1 + e^-.2) = .5981389. DPO-C&M: .95 * .5981389 = .5682319.
    SIPO: log(1 + e^(-.95 * .2)) = log(1 + e^-.19) = .6026569.
    KTO: gains .1 and -.1, kl = 0; both branches 1 - sigmoid(2 * .1) = .4501660. IPO: (.2 - .5)^2.
    Hinge: 1 - .2; pairs with z >= 1 cost nothing.
    """
    loss = OBJECTIVES[name].loss(errors(0.3, 0.5), weights(0.95), BETA)
    assert float(loss.losses) == pytest.approx(expected, rel=1e-5)
    assert float(loss.psi_w) == pytest.approx(0.1)
    assert float(loss.psi_l) == pytest.approx(-0.1)


def test_mapo() -> None:
    """f(.4) = .2 / (e^.2 - 1) = .9033311, f(.401) = .9030978: z = .2333; L = .4 + 2 * .5832862."""
    loss = OBJECTIVES["mapo"].loss(errors(0.4, 0.401), weights(1.0), BETA)
    assert float(loss.z) == pytest.approx(0.2333, rel=1e-2)
    assert float(loss.losses) == pytest.approx(0.4 + 2 * 0.5832862, rel=1e-3)


def test_hinge_leaves_a_margin_of_one_alone() -> None:
    """z = 2 * .6 = 1.2."""
    assert float(OBJECTIVES["hinge"].loss(errors(0.1, 1.3), weights(1.0), BETA).losses) == 0


def test_kto_measures_gains_against_their_mean() -> None:
    """Gains .2 and 0 have the mean .1: both images are .1 from it, 1 - sigmoid(.2) = .4501660.

    A negative mean counts as 0: gains 0 and -.2 give (.5 + 1 - sigmoid(.4)) / 2 = .4506562.
    """
    kto = OBJECTIVES["diffusion-kto"].loss
    above = kto(errors(0.2, 0.4), weights(1.0), BETA)
    assert float(above.losses) == pytest.approx(0.4501660, rel=1e-5)
    below = kto(errors(0.4, 0.6), weights(1.0), BETA)
    assert float(below.losses) == pytest.approx(0.4506562, rel=1e-5)


@pytest.mark.parametrize(("cross", "scale"), [(0.2, 0.15), (0.02, 1.0), (-0.2, 1.0)])
def test_sdpo_scales_the_losers_gradient(cross: float, scale: float) -> None:
    """lambda = .1 * .3 / .2 = .15; 1.5 is clipped to 1; a product below 0 does no harm."""
    gradients = []
    for name in ("diffusion-dpo", "diffusion-sdpo"):
        loser = torch.tensor([0.5], requires_grad=True)
        given = replace(errors(0.3, 0.5), loser=loser, cross=torch.tensor([cross]))
        OBJECTIVES[name].loss(given, weights(1.0), BETA).losses.sum().backward()
        gradients.append(float(_grad(loser)))
    assert gradients[1] == pytest.approx(scale * gradients[0])


@pytest.mark.parametrize("name", DPO_FAMILY)
def test_at_the_reference_z_is_0_and_the_loss_log_2(name: str) -> None:
    loss = OBJECTIVES[name].loss(errors(0.4, 0.4), weights(0.95), BETA)
    outside = 0.95 if name == "dpo-cm" else 1.0
    assert float(loss.z) == 0
    assert float(loss.losses) == pytest.approx(outside * math.log(2))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_swapping_winner_and_loser_flips_z(name: str) -> None:
    objective = OBJECTIVES[name].loss
    there = objective(errors(0.3, 0.6), weights(0.95), BETA)
    back = objective(errors(0.6, 0.3), weights(0.95), BETA)
    assert float(there.z) == -float(back.z) != 0


@pytest.mark.parametrize("name", sorted(set(OBJECTIVES) - {"sft", "nft"}))
def test_gradient_lowers_the_winners_error_and_raises_the_losers(name: str) -> None:
    leaf = replace(
        errors(0.35, 0.45),
        winner=torch.tensor([0.35], requires_grad=True),
        loser=torch.tensor([0.45], requires_grad=True),
    )
    OBJECTIVES[name].loss(leaf, weights(0.95), BETA).losses.sum().backward()
    assert float(_grad(leaf.winner)) > 0 > float(_grad(leaf.loser))


@pytest.mark.parametrize("objective", [sipo, dpo_cm])
def test_a_masked_pair_has_neither_loss_nor_gradient(objective: object) -> None:
    winner = torch.tensor([0.3], requires_grad=True)
    assert callable(objective)
    loss = objective(replace(errors(0.3, 0.5), winner=winner), weights(0.5), BETA)
    loss.losses.sum().backward()
    assert float(loss.mask) == float(loss.losses.detach()) == float(_grad(winner)) == 0


def test_a_weight_per_branch_scales_each_reward() -> None:
    """psi_w = .1, psi_l = -.1, w_w = .96, w_l = .94: z = .096 + .094 = .19."""
    both = pair_weights(torch.tensor([0.96]).log(), torch.tensor([0.94]).log(), "per_branch")
    assert float(sipo(errors(0.3, 0.5), both, BETA).z) == pytest.approx(0.19)
    outside = float(dpo_cm(errors(0.3, 0.5), both, BETA).losses)
    assert outside == pytest.approx(0.95 * 0.5981389)


def test_optional_terms() -> None:
    """psi_w = -.2 costs 3 * .2, the winner's error .6 costs .5 * .6; a rising psi_w nothing."""
    falling, rising = errors(0.6, 0.5), errors(0.3, 0.5)
    base = sipo(falling, weights(1.0), BETA)
    more = add_terms(base, falling, winner_anchor=3, sft_weight=0.5)
    assert float(more.losses - base.losses) == pytest.approx(3 * 0.2 + 0.5 * 0.6)
    base = sipo(rising, weights(1.0), BETA)
    assert float(add_terms(base, rising, winner_anchor=3).losses) == float(base.losses)


def _grad(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def test_the_names_that_settings_know_are_those_there_are() -> None:
    assert OBJECTIVES.keys() == set(OBJECTIVE_NAMES)
