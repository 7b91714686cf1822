"""`nft`: its closed forms, what it teaches, and runs that stop, go on and are shared."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import makers
import pytest
import torch
from alike import is_reference, same_bits
from gaussians import Level, level, target_of, x0_of
from memory_pairs import MemoryPairs, Run
from sampled_pairs import SampledPairs
from test_training_run import stop_after
from torch import Tensor

from sipo.backbones.base import LORA_FILE, Prediction
from sipo.backbones.registry import load_backbone
from sipo.train.monitor.health import diagnose
from sipo.train.monitor.log_rows import Row, read_rows
from sipo.train.objective.denoising_errors import PairSource, mse, noise_pairs
from sipo.train.objective.importance import Weights, clean_error
from sipo.train.objective.losses import Errors, Scored, mixed_errors, nft
from sipo.train.policy import Network, Policy
from sipo.train.settings import make_settings
from sipo.train.trainer import train

ONES = Weights(*(torch.ones(1) for _ in range(4)))
LEVELS: dict[Prediction, Level] = {
    "epsilon": (0.6, 0.8),
    "sample": (0.6, 0.8),
    "v_prediction": (0.6, 0.8),
    "flow": (0.3, 0.7),
}
FAMILIES = ("sd1", "sd2", "sd3")
"""They predict epsilon, v and velocity."""
REWARDS = (0.9, 0.2)


def one(value: float) -> Tensor:
    return torch.tensor([value])


@pytest.mark.parametrize(("clean", "expected"), [(None, 0.425), (4.0, 1.297152)])
def test_hand_worked_loss(clean: float | None, expected: float) -> None:
    """b = .5. Better: mse .3, reference's .4, product .3: <m, o> = -.1, |m|^2 = .1, so the squares
    are .4 -+ .1 + .025 = .325 and .525; r = .75 makes .375. Worse: .5, .4, .35: <m, o> = -.05,
    |m|^2 = .2, squares .4 and .5; r = .25 makes .475. Their mean is .425.

    Weighted, an error of x0 is 4 times as much and divided by its root: 2 sqrt(.325) = 1.140175,
    2 sqrt(.525) = 1.449138, 1.264911 and 1.414214: (1.217416 + 1.376888) / 2.
    """
    scored = Scored(
        one(0.75), one(0.25), one(0.3), one(0.35), None if clean is None else one(clean)
    )
    errors = Errors(one(0.3), one(0.5), one(0.4), one(0.4), one(0.0), scored)
    loss = nft(errors, ONES, 0.5)
    assert float(loss.losses) == pytest.approx(expected, rel=1e-6)
    assert (float(loss.psi_w), float(loss.psi_l)) == pytest.approx((0.025, -0.025))
    assert float(loss.mask) == 1


def mean(values: Tensor) -> Tensor:
    return values.square().mean(1)


def loss_of(v: Tensor, old: Tensor, target: Tensor, r: float, clean: Tensor | None) -> Tensor:
    """The loss of the same candidate in both places, (R,)."""
    ours, theirs = v - target, old - target
    rewards, product = torch.full((len(v),), r, dtype=torch.float64), (ours * theirs).mean(1)
    scored = Scored(rewards, rewards, product, product, clean)
    e, e_old = mean(ours), mean(theirs)
    return nft(Errors(e, e, e_old, e_old, e, scored), ONES, 0.7).losses


@pytest.mark.parametrize("prediction", LEVELS)
@pytest.mark.parametrize("adaptive", [False, True])
def test_closed_forms_are_the_vectors(prediction: Prediction, adaptive: bool) -> None:
    """In float64: errors of the mixed predictions, as predictions and as x0; loss and gradient."""
    (a, b), r = LEVELS[prediction], 0.8
    chance = torch.Generator().manual_seed(0)
    x0, noise, old, v = torch.randn(4, 3, 50, dtype=torch.float64, generator=chance)
    noisy, target = a * x0 + b * noise, target_of(prediction, x0, noise, (a, b))
    v.requires_grad_()
    snr = torch.full((3,), (a / b) ** 2, dtype=torch.float64)
    clean = clean_error(prediction, torch.ones_like(snr), snr)
    losses: list[Tensor] = []
    mixed = [old + sign * 0.7 * (v - old) for sign in (1, -1)]
    forms = mixed_errors(
        mean(v - target), mean(old - target), ((v - target) * (old - target)).mean(1), 0.7
    )
    for prediction_, form in zip(mixed, forms, strict=True):
        direct = mean(prediction_ - target)
        torch.testing.assert_close(form, direct, rtol=1e-12, atol=0)
        of_x0 = mean(x0_of(prediction, prediction_, noisy, (a, b)) - x0)
        torch.testing.assert_close(clean * direct, of_x0, rtol=1e-10, atol=0)
        losses.append(of_x0 / of_x0.detach().sqrt() if adaptive else direct)
    expected = r * losses[0] + (1 - r) * losses[1]
    ours = loss_of(v, old, target, r, clean if adaptive else None)
    torch.testing.assert_close(ours, expected, rtol=1e-10, atol=0)
    gradients = (torch.autograd.grad(loss.sum(), v)[0] for loss in (ours, expected))
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("clean", [None, torch.full((3,), 2.0, dtype=torch.float64)])
def test_at_the_reference(clean: Tensor | None) -> None:
    """The loss is the same whatever the reward; a step down the gradient brings a candidate of
    high reward nearer, takes one of low reward away and leaves a middling one."""
    old, target = torch.randn(2, 3, 50, dtype=torch.float64, generator=torch.Generator())
    for r in (0.0, 0.3, 0.5, 1.0):
        v = old.clone().requires_grad_()
        losses = loss_of(v, old, target, r, clean)
        same = mean(old - target) if clean is None else (clean * mean(old - target)).sqrt()
        torch.testing.assert_close(losses, same, rtol=1e-12, atol=0)
        [gradient] = torch.autograd.grad(losses.sum(), v)
        nearer = mean(old - target) - mean(old - 0.1 * gradient - target)
        if r == 0.5:
            assert float(nearer.abs().max()) < 1e-12
        else:
            assert bool((nearer * (r - 0.5) > 0).all())


def sampled(backbone: Any) -> SampledPairs:
    pairs = SampledPairs(backbone, ["a red cat", "two dogs"])
    pairs.records = [replace(record, rewards=REWARDS) for record in pairs.records]
    return pairs


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_measured_is_of_the_predictions(tmp_path: Path, name: str) -> None:
    """A policy that is not its reference: errors, products and k(t) by the vectors themselves."""
    backbone = load_backbone(str(makers.IMAGES[name](tmp_path / name)))
    settings = make_settings({"objective": "nft", "rank": 2})
    policy = Policy(backbone, settings)
    chance = torch.Generator().manual_seed(0)
    for parameter in policy.trainable().values():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=chance)
    source = PairSource(policy, sampled(backbone), settings)
    noised = noise_pairs(backbone, source.draw(range(2)), settings)
    measured = source.measure(range(2), 0)

    def residual(which: Network) -> Tensor:
        given = noised.noisy, noised.timesteps, noised.conditioning
        return (policy.predict(which, *given) - noised.target).flatten(1).detach()

    ours, theirs, scored = residual("trained"), residual("base"), measured.errors.scored
    assert scored is not None
    assert scored.clean is not None
    products = torch.cat([scored.product_w, scored.product_l])
    torch.testing.assert_close(products, (ours * theirs).mean(1), rtol=1e-5, atol=1e-7)
    old = torch.cat([measured.errors.ref_winner, measured.errors.ref_loser])
    torch.testing.assert_close(old, mse(theirs, torch.zeros(())), rtol=1e-5, atol=0)
    assert not torch.allclose(products, old, rtol=1e-3)
    assert torch.equal(scored.reward_w, torch.full((2,), REWARDS[0]))
    assert torch.equal(scored.reward_l, torch.full((2,), REWARDS[1]))
    for row, k in enumerate(scored.clean.double()):  # what a slip by one makes of x0
        noisy, at = noised.noisy[row].double(), level(backbone, int(noised.timesteps[row]))
        slips = (
            x0_of(backbone.prediction, value + torch.zeros_like(noisy), noisy, at)
            for value in (0.0, 1.0)
        )
        torch.testing.assert_close(mse(*slips)[0], k, rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_score_weighted_likelihood_rises(tmp_path: Path, name: str) -> None:
    """Of two candidates a prompt, sum of (2r - 1) times what their errors fell by."""
    folder = makers.IMAGES[name](tmp_path / name)
    pairs = sampled(load_backbone(str(folder)))
    given = {"objective": "nft", "out": str(tmp_path / "run"), "report_to": "none"}
    given |= {"learning_rate": 3e-4, "max_train_steps": 12, "train_timesteps": "500:600"}
    settings = make_settings(given | {"full": True, "train_batch_size": 4, "beta_dpo": 0.5})
    train(settings, load_backbone(str(folder), denoiser_only=True), pairs)
    weighted = [
        (2 * REWARDS[0] - 1) * row["psi_w"] + (2 * REWARDS[1] - 1) * row["psi_l"]
        for row in read_rows(tmp_path / "run" / "log.jsonl")
    ]
    assert abs(weighted[0]) < 1e-5
    assert min(weighted[-3:]) > 1e-4


WAYS: dict[str, dict[str, Any]] = {
    "lora": {"ema_decay": 0.5, "lr_scheduler": "cosine", "nft_weighting": "none"},
    "full": {"full": True, "gradient_accumulation_steps": 2, "beta_dpo": 0.5},
    "moving": {"reference": "moving", "reference_decay": 0.5},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_stopped_run_ends_with_the_same_bits(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """Away from the base, against the policy it began from or one that follows it."""
    run("start", learning_rate=1e-2, full=way == "full")
    given = {"objective": "nft", "init_weights": str(tmp_path / "start"), "reference": "init"}
    given |= {"learning_rate": 1e-3} | WAYS[way]
    run("whole", **given)
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run("stopped", **given)
    run("stopped", **given)
    file = "unet/diffusion_pytorch_model.safetensors" if way == "full" else LORA_FILE
    assert same_bits(tmp_path / "whole" / file, tmp_path / "stopped" / file)
    first, *_, last = read_rows(tmp_path / "whole" / "log.jsonl")
    assert is_reference(dict(first))
    assert not is_reference(dict(last))
    assert first["keep"] == 1  # the weights' mask is not for it


def test_rewards_of_one_half_hold_the_reference(run: Run, tmp_path: Path) -> None:
    """2r - 1 = 0: what is left of the loss is b^2 |v - v_old|^2, whose gradient is 0 there."""
    pairs = MemoryPairs(5)
    pairs.records = [replace(record, rewards=(0.5, 0.5)) for record in pairs.records]
    run("held", pairs, objective="nft", nft_weighting="none", max_train_steps=1)
    run("moved", objective="nft", nft_weighting="none", max_train_steps=1)
    norms = [read_rows(tmp_path / n / "log.jsonl")[0]["grad_norm"] for n in ("held", "moved")]
    assert norms[0] < 1e-3 * norms[1]


def test_settings() -> None:
    assert make_settings({"objective": "nft"}).beta_dpo == 1
    with pytest.raises(ValueError, match="--reference_draws keeps the reference's errors, and nft"):
        make_settings({"objective": "nft", "reference_draws": 2})


def test_no_margin_is_asked_of_it() -> None:
    """A |z| near 0 and a gradient factor near 1/2 are its healthy state."""
    row: Row = {"step": 0, "psi_w": 1e-4, "abs_z": 1e-4, "gradient_factor": 0.5, "error_w": 0.3}
    row |= {"error_l": 0.3, "ref_error_w": 0.3, "ref_error_l": 0.3}
    rows: list[Row] = [{**row, "step": step} for step in range(60)]
    assert diagnose(rows, {"objective": "sipo"})
    assert diagnose(rows, {"objective": "nft"}) == []


def test_the_log_is_whole(run: Run, tmp_path: Path) -> None:
    run("run", objective="nft", max_train_steps=2)
    lines = (tmp_path / "run" / "log.jsonl").read_text()
    assert "NaN" not in lines
    assert json.loads(lines.splitlines()[-1])["beta"] == 1
