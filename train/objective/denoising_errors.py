"""A batch's four errors and its importance weights.

Shapes: B pairs, K draws of (timestep, noise) each, R = B K rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from sipo.backbones.base import Backbone
from sipo.train.data.pair_batches import Batch, Pairs, PairStream, draw_batch
from sipo.train.data.reference_cache import ReferenceCache
from sipo.train.objective.importance import (
    Weights,
    coefficient,
    log_weight,
    pair_weights,
    previous_timestep,
)
from sipo.train.objective.losses import Errors
from sipo.train.policy import Frozen, Policy
from sipo.train.settings import TrainSettings


class Source(Protocol):
    """Where a step's rows come from and what their errors are. A batch has `keys`, `timesteps`."""

    def draw(self, positions: Sequence[int], step: int, /) -> Any: ...
    def errors(self, batch: Any, /) -> Errors: ...
    def weights(self, batch: Any, errors: Errors, /) -> Weights: ...


class PairSource:
    """For every objective on shards."""

    def __init__(self, policy: Policy, pairs: Pairs, settings: TrainSettings) -> None:
        self.policy, self.settings = policy, settings
        self.stream = PairStream(pairs, settings.seed)
        self.cache = ReferenceCache() if settings.reference_draws else None

    def draw(self, positions: Sequence[int], step: int) -> Batch:
        """The rows at `positions`; they do not depend on the step."""
        steps = self.policy.backbone.num_train_timesteps
        batch = draw_batch(self.stream, positions, self.settings, steps)
        return batch.to(self.policy.device)

    def errors(self, batch: Batch) -> Errors:
        def reference(rows: Batch) -> tuple[Tensor, Tensor]:
            return frozen_errors(self.policy, rows, self.policy.reference)

        known = self.cache.errors(batch, reference) if self.cache else reference(batch)
        return pair_errors(self.policy, batch, *known)

    def weights(self, batch: Batch, errors: Errors) -> Weights:
        policy, which = self.policy, self.settings.denominator
        below: tuple[Tensor, Tensor] | None = None
        if which == "ref" or (which == "behaviour" and policy.behaviour == policy.reference):
            below = errors.ref_winner, errors.ref_loser
        elif policy.behaviour:
            below = frozen_errors(policy, batch, policy.behaviour)
        return batch_weights(policy.backbone, batch, errors, self.settings, below)


def pair_errors(policy: Policy, batch: Batch, ref_winner: Tensor, ref_loser: Tensor) -> Errors:
    """One forward of 2R rows for the policy, with gradient, beside the reference's errors."""
    noisy, timesteps, target = noised(policy.backbone, batch)
    with policy.as_trained():
        prediction = policy.backbone.predict(noisy, timesteps, batch.conditioning)
    winner, loser = mse(prediction, target).chunk(2)
    residual_w, residual_l = (prediction.detach().float() - target).flatten(1).chunk(2)
    cross = (residual_w * residual_l).mean(1)
    return Errors(winner, loser, ref_winner, ref_loser, cross)


@torch.no_grad()
def frozen_errors(policy: Policy, batch: Batch, which: Frozen) -> tuple[Tensor, Tensor]:
    """mse of winner and loser under one of the policy's frozen networks: (R,) each."""
    noisy, timesteps, target = noised(policy.backbone, batch)
    with policy.as_frozen(which):
        prediction = policy.backbone.predict(noisy, timesteps, batch.conditioning)
    winner, loser = mse(prediction, target).chunk(2)
    return winner, loser


def noised(backbone: Backbone, batch: Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Noisy latents, timesteps and target of winners, then losers: 2R rows."""
    timesteps = batch.timesteps.repeat(2)
    noise = batch.noise.repeat(2, *[1] * (batch.noise.ndim - 1))
    latents = torch.cat([batch.winner, batch.loser])
    noisy = backbone.add_noise(latents, noise, timesteps)
    return noisy, timesteps, backbone.target(latents, noise, timesteps).float()


def mse(prediction: Tensor, target: Tensor) -> Tensor:
    """Mean over all but the batch dimension, in float32: (R, ...) -> (R,)."""
    return (prediction.float() - target).square().flatten(1).mean(1)


def timestep_coefficient(backbone: Backbone, timesteps: Tensor, settings: TrainSettings) -> Tensor:
    """c(t, s) of the backbone's schedule; SNR_s is infinite where s is the clean end."""
    s = previous_timestep(timesteps, backbone.num_train_timesteps, settings.num_chain_steps)
    snr_s = torch.where(s < 0, torch.inf, backbone.snr(s.clamp(min=0)))
    return coefficient(backbone.prediction, backbone.snr(timesteps), snr_s, settings.chain_variance)


def batch_weights(
    backbone: Backbone,
    batch: Batch,
    errors: Errors,
    settings: TrainSettings,
    below: tuple[Tensor, Tensor] | None,
) -> Weights:
    """The importance weights of a batch under the settings' options.

    `below` are the errors (winner, loser) of the model in the denominator; None: it is q.
    """
    c = timestep_coefficient(backbone, batch.timesteps.cpu(), settings)  # float64: not on a GPU
    scale = settings.ratio_scale * float(torch.tensor(batch.winner[0].numel()).log())
    winner, loser = errors.winner, errors.loser
    if below:  # p_theta / p_other: log w = -c (mse_theta - mse_other)
        winner, loser = winner - below[0], loser - below[1]
    return pair_weights(
        log_weight(c, winner, scale),
        log_weight(c, loser, scale),
        settings.pair_weight,
        settings.eps_clip,
        settings.mask,
    )
