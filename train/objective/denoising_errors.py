"""A batch's four errors and its importance weights.

Shapes: B pairs, K draws of (timestep, noise) each, R = B K rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from sipo.backbones.base import Backbone, Conditioning
from sipo.train.data.batch_ahead import BatchAhead
from sipo.train.data.pair_batches import Batch, Pairs, PairStream, draw_batch
from sipo.train.data.reference_cache import ReferenceCache
from sipo.train.objective.importance import (
    Weights,
    clean_error,
    coefficient,
    log_weight,
    pair_weights,
    previous_timestep,
)
from sipo.train.objective.losses import Errors, Scored
from sipo.train.objective.registry import find_objective
from sipo.train.policy import Frozen, Network, Policy
from sipo.train.settings import TrainSettings
from sipo.train.timesteps import trained_timesteps

Sides = tuple[Tensor, Tensor]
"""Of winners and of losers, (R,) each."""


@dataclass(frozen=True)
class Measured:
    """R rows of pairs: which, at which timesteps, their errors and importance weights."""

    keys: list[str]
    timesteps: Tensor
    errors: Errors
    weights: Weights


class Source(Protocol):
    """Where a step's rows come from, and what the networks make of them."""

    cache: ReferenceCache | None

    def measure(self, positions: range, step: int, /) -> Measured: ...


@dataclass(frozen=True)
class Noised:
    """What every network is asked alike: winners, then losers, 2R rows of the first five.

    `coefficient` is c(t, s) of the R pairs and `clean` their k(t) (`clean_error`), float64.
    """

    noisy: Tensor
    timesteps: Tensor
    target: Tensor
    conditioning: Conditioning
    rewards: Tensor
    coefficient: Tensor
    clean: Tensor

    def rows(self, chosen: Sequence[int]) -> Noised:
        """Of those pairs alone."""
        at = torch.tensor(chosen, device=self.timesteps.device)
        both = torch.cat([at, at + len(self.timesteps) // 2])
        return Noised(
            self.noisy[both],
            self.timesteps[both],
            self.target[both],
            {name: value[both] for name, value in self.conditioning.items()},
            self.rewards[both],
            self.coefficient[at],
            self.clean[at],
        )

    def pinned(self) -> Noised:
        """In memory that a card reads by itself."""
        return self._each(Tensor.pin_memory)

    def to(self, device: torch.device) -> Noised:
        """Nobody waits for what was pinned."""
        return self._each(lambda value: value.to(device, non_blocking=True))

    def _each(self, moved: Callable[[Tensor], Tensor]) -> Noised:
        return Noised(
            moved(self.noisy),
            moved(self.timesteps),
            moved(self.target),
            {name: moved(value) for name, value in self.conditioning.items()},
            moved(self.rewards),
            moved(self.coefficient),
            moved(self.clean),
        )


class PairSource:
    """For every objective on shards."""

    def __init__(self, policy: Policy, pairs: Pairs, settings: TrainSettings) -> None:
        self.policy, self.settings = policy, settings
        self.stream = PairStream(pairs, settings.seed)
        self.timesteps = trained_timesteps(settings, policy.backbone)
        cached = self.stream, settings, policy.device, policy.sharded
        self.cache = ReferenceCache(*cached) if settings.reference_draws else None
        self.of_candidates = find_objective(settings.objective).data == "candidates"
        # On a CPU the thread would take its time from the step: 3 to 9 % more (docs/log.md).
        ahead = policy.device.type != "cpu"
        self.batches = BatchAhead(self._noised) if ahead else self._noised

    def draw(self, positions: Sequence[int]) -> Batch:
        return draw_batch(self.stream, positions, self.settings, self.timesteps)

    def _noised(self, positions: range) -> tuple[Batch, Noised]:
        batch, device = self.draw(positions), self.policy.device
        noised = noise_pairs(self.policy.backbone, batch, self.settings)
        return batch, noised.pinned() if device.type == "cuda" else noised

    def measure(self, positions: range, step: int) -> Measured:
        """Of the pairs at `positions`; they do not depend on the step."""
        batch, noised = self.batches(positions)
        noised = noised.to(self.policy.device)
        if self.of_candidates:
            errors = candidate_errors(self.policy, noised, self.settings)
        else:
            errors = pair_errors(self.policy, noised, self._reference(positions, noised))
        timesteps, _ = noised.timesteps.chunk(2)
        return Measured(batch.keys, timesteps, errors, self._weights(noised, errors))

    def _reference(self, positions: Sequence[int], noised: Noised) -> Sides:
        policy = self.policy
        if not policy.has_reference:
            return _unknown(noised)
        if self.cache is None:
            return frozen_errors(policy, noised, policy.reference)
        return self.cache.errors(
            positions, lambda rows: frozen_errors(policy, noised.rows(rows), policy.reference)
        )

    def _weights(self, noised: Noised, errors: Errors) -> Weights:
        policy, which = self.policy, self.settings.denominator
        denominator: Sides | None = None
        if which == "ref" or (which == "behaviour" and policy.behaviour == policy.reference):
            denominator = errors.ref_winner, errors.ref_loser
        elif policy.behaviour:
            denominator = frozen_errors(policy, noised, policy.behaviour)
        return batch_weights(noised, errors, self.settings, denominator)


def pair_errors(policy: Policy, noised: Noised, reference: Sides) -> Errors:
    """One forward of 2R rows for the policy, with gradient, beside the reference's errors."""
    return _errors(residuals(policy, noised, "trained"), reference)


def candidate_errors(policy: Policy, noised: Noised, settings: TrainSettings) -> Errors:
    """The same with `scored`: the reference's residuals are at hand, for their products."""
    old = torch.full_like(noised.target, torch.nan).flatten(1)
    if policy.has_reference:
        old = residuals(policy, noised, policy.reference)
    ours = residuals(policy, noised, "trained")
    rewards, products = noised.rewards.chunk(2), (ours * old).mean(1).chunk(2)
    clean = noised.clean.float() if settings.nft_weighting == "adaptive" else None
    scored = Scored(rewards[0], rewards[1], products[0], products[1], clean)
    return replace(_errors(ours, _sides(old)), scored=scored)


def _errors(residual: Tensor, reference: Sides) -> Errors:
    residual_w, residual_l = residual.detach().chunk(2)
    return Errors(*_sides(residual), *reference, (residual_w * residual_l).mean(1))


def residuals(policy: Policy, noised: Noised, which: Network) -> Tensor:
    """Of a network's prediction, float32: (2R, D)."""
    prediction = policy.predict(which, noised.noisy, noised.timesteps, noised.conditioning)
    return (prediction.float() - noised.target).flatten(1)


def _sides(residual: Tensor) -> Sides:
    """mse of winners and losers."""
    winner, loser = residual.square().mean(1).chunk(2)
    return winner, loser


def frozen_errors(policy: Policy, noised: Noised, which: Frozen) -> Sides:
    """mse of winner and loser under one of the policy's frozen networks: (R,) each."""
    return _sides(residuals(policy, noised, which))


def _unknown(noised: Noised) -> Sides:
    """For an objective that needs no reference: (R,) of NaN each."""
    rows = len(noised.timesteps) // 2
    nothing = torch.full((rows,), torch.nan, device=noised.timesteps.device)
    return nothing, nothing


def noise_pairs(backbone: Backbone, batch: Batch, settings: TrainSettings) -> Noised:
    """Winner and loser of a row share timestep and noise. On the CPU, where the schedule is."""
    timesteps, noise = (torch.cat([v, v]) for v in (batch.timesteps, batch.noise))
    latents = torch.cat([batch.winner, batch.loser])
    noisy = backbone.add_noise(latents, noise, timesteps)
    target = backbone.target(latents, noise, timesteps).float()
    c = timestep_coefficient(backbone, batch.timesteps, settings)
    snr = backbone.snr(batch.timesteps).double()
    clean = clean_error(backbone.prediction, torch.ones_like(snr), snr)
    return Noised(noisy, timesteps, target, batch.conditioning, batch.rewards, c, clean)


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over all but the batch dimension, in float32: (R, ...) -> (R,)."""
    return (prediction.float() - target).square().flatten(1).mean(1)


def timestep_coefficient(backbone: Backbone, timesteps: Tensor, settings: TrainSettings) -> Tensor:
    """c(t, s) of the backbone's schedule; SNR_s is infinite where s is the clean end."""
    s = previous_timestep(timesteps, backbone.num_train_timesteps, settings.num_chain_steps)
    snr_s = torch.where(s < 0, torch.inf, backbone.snr(s.clamp(min=0)))
    return coefficient(backbone.prediction, backbone.snr(timesteps), snr_s, settings.chain_variance)


def batch_weights(
    noised: Noised,
    errors: Errors,
    settings: TrainSettings,
    denominator: Sides | None,
) -> Weights:
    """The importance weights of a batch under the settings' options.

    `denominator` are the errors of the model in it; None: it is q.
    """
    c = noised.coefficient
    scale = settings.ratio_scale * math.log(noised.noisy[0].numel())
    winner, loser = errors.winner, errors.loser
    if denominator:  # p_theta / p_other: log w = -c (mse_theta - mse_other)
        winner, loser = winner - denominator[0], loser - denominator[1]
    return pair_weights(
        log_weight(c, winner, scale),
        log_weight(c, loser, scale),
        settings.pair_weight,
        settings.eps_clip,
        settings.mask,
    )
