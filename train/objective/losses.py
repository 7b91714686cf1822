"""Preference objectives: functions of a pair's errors. No model, no device, no state; but
`diffusion_kto` asks the other processes for theirs.

psi = -beta/2 (mse_theta - mse_ref) is a branch's implicit reward and z = psi_w - psi_l the pair's
margin. Every function returns one loss a pair; the trainer divides their sum by the kept pairs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from sipo.common.plugins import Part
from sipo.train.objective.importance import Weights


@dataclass(frozen=True)
class Scored:
    """What a loss of scored candidates needs besides; (B,) float32 each, rewards in [0, 1].

    The products are means of the policy's residual times the reference's. `clean` times an error is
    the error of x0 (`importance.clean_error`); None where the loss is not to be weighted by it.
    """

    reward_w: Tensor
    reward_l: Tensor
    product_w: Tensor
    product_l: Tensor
    clean: Tensor | None


@dataclass(frozen=True)
class Errors:
    """Squared prediction errors, mean over all but the batch dimension; (B,) float32 each.

    `cross` is the mean product of the policy's two residuals: the angle between their gradients.
    """

    winner: Tensor
    loser: Tensor
    ref_winner: Tensor
    ref_loser: Tensor
    cross: Tensor
    scored: Scored | None = None
    """Where the objective learns from candidates."""


@dataclass(frozen=True)
class PairLoss:
    """(B,) each. `losses` is zero where `mask` is; `z` is what stands inside the sigmoid."""

    losses: Tensor
    mask: Tensor
    z: Tensor
    psi_w: Tensor
    psi_l: Tensor


Loss = Callable[[Errors, Weights, float], PairLoss]


@dataclass(frozen=True)
class Objective:
    """A loss, and what it learns from: pairs; single verdicts, so that a row's winner and loser
    are of different prompts; scored candidates, two of a prompt, whose errors have `scored`; or
    rollouts, sampled and judged during training.
    """

    loss: Loss
    data: Literal["pairs", "verdicts", "candidates", "rollouts"] = "pairs"
    needs_reference: bool = True
    """Without, none is kept: the reference's errors, and what is made of them, are NaN."""
    part: Part | None = None
    """Where it is from outside."""


def rewards(errors: Errors, beta: float) -> tuple[Tensor, Tensor]:
    """psi = -beta/2 (mse_theta - mse_ref) of winner and loser.

    `beta` is the beta_dpo of public code: it absorbs T and omega(lambda_t) of the slides.
    """
    psi_w = -beta / 2 * (errors.winner - errors.ref_winner)
    psi_l = -beta / 2 * (errors.loser - errors.ref_loser)
    return psi_w, psi_l


def diffusion_dpo(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = -logsigmoid(z) (Wallace et al. 2023, eq. 14). Ignores the weights, keeps every pair."""
    psi_w, psi_l = rewards(errors, beta)
    z = psi_w - psi_l
    return PairLoss(-logsigmoid(z), torch.ones_like(z), z, psi_w, psi_l)


def dpo_cm(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = -mask wc logsigmoid(z): the weight outside the sigmoid (SIPO slides, DPO-C&M).

    With a weight per branch the pair's is their mean (equal branches: the weight itself).
    """
    psi_w, psi_l = rewards(errors, beta)
    z = psi_w - psi_l
    outside = (weights.winner + weights.loser) / 2
    return PairLoss(-weights.mask * outside * logsigmoid(z), weights.mask, z, psi_w, psi_l)


def sipo(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = -mask logsigmoid(wc (psi_w - psi_l)): the weight inside the sigmoid (SIPO slides).

    `mask` comes from the method's first stage; with masking off this is the bare slide formula.
    """
    psi_w, psi_l = rewards(errors, beta)
    z = weights.winner * psi_w - weights.loser * psi_l
    return PairLoss(-weights.mask * logsigmoid(z), weights.mask, z, psi_w, psi_l)


def sft(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = mse_theta of the winner: plain denoising of what was preferred. No reference."""
    return replace(diffusion_dpo(errors, weights, beta), losses=errors.winner)


def diffusion_kto(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = 1 - sigmoid(+-beta (g - kl)), g = mse_ref - mse_theta (Li et al. 2024, Diffusion-KTO).

    Unpaired: the "winner" of a row is a desirable image and the "loser" an undesirable one of any
    prompt. kl = max(mean g, 0) over the batch is a constant for the gradient; the batch is this
    forward pass of all processes, so each part of an accumulated step has a kl of its own. One to
    one, lambda_y is 1 for both.
    """
    gain_w, gain_l = errors.ref_winner - errors.winner, errors.ref_loser - errors.loser
    kl = _mean_over_processes(torch.cat([gain_w, gain_l]).detach()).clamp(min=0)
    desirable = 1 - torch.sigmoid(beta * (gain_w - kl))
    undesirable = 1 - torch.sigmoid(-beta * (gain_l - kl))
    watched = diffusion_dpo(errors, weights, beta)
    return replace(watched, losses=(desirable + undesirable) / 2)


def diffusion_sdpo(errors: Errors, weights: Weights, beta: float, mu: float = 0.9) -> PairLoss:
    """Diffusion-DPO's value with `safe_loser` (Fu et al. 2025); mu .9 is theirs for SD1.5."""
    return diffusion_dpo(safe_loser(errors, mu), weights, beta)


def safe_loser(errors: Errors, mu: float) -> Errors:
    """The same errors; the loser's gradient times lambda (Diffusion-SDPO, Fu et al. 2025).

    lambda = clip((1 - mu) |g_w|^2 / <g_w, g_l>, 0, 1) where <g_w, g_l> > 0, else 1, with g the
    gradient of mse by the output. A loss with the gradient k (g_w - g_l), k > 0, then moves the
    winner's error by -k (|g_w|^2 - lambda <g_w, g_l>) <= -k mu |g_w|^2: it cannot rise to first
    order.
    """
    harmful = errors.cross > 0
    bound = (1 - mu) * errors.winner / errors.cross.where(harmful, 1)
    scale = bound.clamp(0, 1).where(harmful, 1).detach()
    loser = scale * errors.loser + (1 - scale) * errors.loser.detach()
    return replace(errors, loser=loser)


MAPO_SLOPE, MAPO_TIMESTEPS = 0.5, 1000


def mapo(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = mse_w - beta logsigmoid(z), z = T (f(mse_w) - f(mse_l)) (Hong et al. 2024, MaPO).

    f(x) = s x / (exp(s x) - 1), s = 1/2. No reference.
    """
    odds_w, odds_l = (_odds(mse) for mse in (errors.winner, errors.loser))
    z = MAPO_TIMESTEPS * (odds_w - odds_l)
    watched = diffusion_dpo(errors, weights, 1.0)
    return replace(watched, losses=errors.winner - beta * logsigmoid(z), z=z)


def _odds(mse: Tensor) -> Tensor:
    scaled = MAPO_SLOPE * mse
    return scaled / torch.expm1(scaled)


def ipo(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = (z - 1/2)^2 (Azar et al. 2023, eq. 17, times tau^2): a margin to reach, not to widen."""
    watched = diffusion_dpo(errors, weights, beta)
    return replace(watched, losses=(watched.z - 0.5).square())


def hinge(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = max(0, 1 - z) (Zhao et al. 2023, SLiC-HF, eq. 2, with the implicit rewards' margin)."""
    watched = diffusion_dpo(errors, weights, beta)
    return replace(watched, losses=(1 - watched.z).relu())


D3PO_CLIP = (math.log(0.9), math.log(1.1))


def d3po(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = -logsigmoid(beta (log r_w - log r_l)), r = clip(p_theta / p_ref, .9, 1.1) of one
    denoising step x_t -> x_s (Yang et al. 2024, D3PO, and its code's clip).

    Here the errors are -log p(x_s | x_t), averaged over dimensions.
    """
    gain_w, gain_l = errors.ref_winner - errors.winner, errors.ref_loser - errors.loser
    z = beta * (gain_w.clamp(*D3PO_CLIP) - gain_l.clamp(*D3PO_CLIP))
    return PairLoss(-logsigmoid(z), torch.ones_like(z), z, beta * gain_w, beta * gain_l)


def nft(errors: Errors, weights: Weights, beta: float) -> PairLoss:
    """L = r |v+ - v*|^2 + (1 - r) |v- - v*|^2, v+- = v_old +- b (v - v_old), mean of the two
    candidates (Zheng et al. 2025, DiffusionNFT; b is `beta`, v_old the reference).

    Ignores the weights and keeps every row. With o = v_old - v* and m = v - v_old:
    |v+- - v*|^2 = |o|^2 +- 2b <m, o> + b^2 |m|^2, so b also says what it costs to leave v_old.
    """
    scored = errors.scored
    assert scored is not None, "the objective learns from candidates"

    def of_candidate(reward: Tensor, mse: Tensor, ref_mse: Tensor, product: Tensor) -> Tensor:
        mixed = mixed_errors(mse, ref_mse, product, beta)
        towards, away = (_self_normalised(error, scored.clean) for error in mixed)
        return reward * towards + (1 - reward) * away

    winner = of_candidate(scored.reward_w, errors.winner, errors.ref_winner, scored.product_w)
    loser = of_candidate(scored.reward_l, errors.loser, errors.ref_loser, scored.product_l)
    return replace(diffusion_dpo(errors, weights, beta), losses=(winner + loser) / 2)


def mixed_errors(mse: Tensor, ref_mse: Tensor, product: Tensor, b: float) -> tuple[Tensor, Tensor]:
    """|v+ - v*|^2 and |v- - v*|^2 of `nft`, from |v - v*|^2, |o|^2 and <v - v*, o>."""
    along, moved = product - ref_mse, mse - 2 * product + ref_mse  # <m, o> and |m|^2
    near = ref_mse + b**2 * moved
    return near + 2 * b * along, near - 2 * b * along


CLEAN_FLOOR = 1e-5


def _self_normalised(mse: Tensor, clean: Tensor | None) -> Tensor:
    """|x - x0|^2 / sg(size of x - x0), the paper's adaptive weight (with its code's floor), so
    that every timestep teaches alike.

    Theirs is the mean of |x - x0|, ours the root of the mean square: 1.25 times as much where the
    residual is normal, and made of what is measured anyway.
    """
    if clean is None:
        return mse
    of_x0 = clean * mse
    return of_x0 / of_x0.detach().clamp(min=0).sqrt().clamp(min=CLEAN_FLOOR)


def _mean_over_processes(values: Tensor) -> Tensor:
    mean = values.mean()
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.all_reduce(mean)
        mean = mean / torch.distributed.get_world_size()
    return mean


OBJECTIVES: dict[str, Objective] = {
    "sipo": Objective(sipo),
    "dpo-cm": Objective(dpo_cm),
    "diffusion-dpo": Objective(diffusion_dpo),
    "flow-dpo": Objective(diffusion_dpo),  # on velocity errors (Liu et al. 2025, Flow-DPO)
    "diffusion-sdpo": Objective(diffusion_sdpo),
    "diffusion-kto": Objective(diffusion_kto, "verdicts"),
    "mapo": Objective(mapo, needs_reference=False),
    "ipo": Objective(ipo),
    "hinge": Objective(hinge),
    "sft": Objective(sft, needs_reference=False),
    "d3po": Objective(d3po, "rollouts"),
    "nft": Objective(nft, "candidates"),
}


def cap_margin(loss: PairLoss, cap: float | None) -> PairLoss:
    """The gradient of L(min(z, cap)): none for a pair whose margin is above; its loss stays seen.

    Without, what a loser's growing error adds to z has no end. (SimpleTuner, "dpo runaway fix: cap
    positive margin", 2026-08-19, one of its scripts.) A pair below -cap is still pulled up.
    """
    if cap is None:
        return loss
    return replace(loss, losses=loss.losses.where(loss.z <= cap, loss.losses.detach()))


def add_terms(
    loss: PairLoss, errors: Errors, winner_anchor: float = 0.0, sft_weight: float = 0.0
) -> PairLoss:
    """Optional terms on the kept pairs; both are ours, not the paper's, and off by default.

    winner_anchor * relu(-psi_w): no pair may pay for its gap with the winner.
    sft_weight * mse_theta of the winner: plain denoising of what was preferred.
    """
    if not winner_anchor and not sft_weight:
        return loss
    extra = winner_anchor * (-loss.psi_w).relu() + sft_weight * errors.winner
    return replace(loss, losses=loss.losses + loss.mask * extra)
