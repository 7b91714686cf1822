"""D3PO's data: trajectories of the policy as it is now, sampled and judged during training.

Yang et al. 2024: candidates of a prompt are sampled step by step, the judge names a winner and a
loser, and every denoising step of the two is a pair. A block of training steps learns from what
the policy of its first step sampled. The block's file makes a restart exact.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sipo.backbones.base import Backbone, Conditioning, Sampler
from sipo.datagen.storage.prompt_dataset import PromptDataset
from sipo.feedback.judge import Judge
from sipo.feedback.judge_batches import judge_sound
from sipo.train.data.pair_batches import generator
from sipo.train.objective.ddim import chain, negative_log_density, transition
from sipo.train.objective.importance import Weights
from sipo.train.objective.losses import Errors
from sipo.train.policy import Policy
from sipo.train.settings import TrainSettings

ATTEMPTS = 8  # draws of prompts without a single pair before giving up
STATES = ("winner", "loser")


@dataclass(frozen=True)
class Transitions:
    """R pairs of steps x_t -> x_s: `timesteps` and `previous` are (R,), `noisy` and `next`
    (2R, C, H, W), conditioning (2R, ...), winners first.
    """

    keys: list[str]
    noisy: Tensor
    next: Tensor
    timesteps: Tensor
    previous: Tensor
    conditioning: Conditioning
    empty: Conditioning


class Trajectories:
    """A source of D3PO's batches and errors. `folder` keeps the blocks."""

    def __init__(
        self,
        policy: Policy,
        prompts: PromptDataset,
        judge: Judge,
        settings: TrainSettings,
        folder: Path,
    ) -> None:
        self.policy, self.prompts, self.judge = policy, prompts, judge
        self.settings, self.folder = settings, folder
        self.sampler = Sampler.model_validate(prompts.meta["sampler"])
        self.timesteps = chain(policy.backbone.num_train_timesteps, settings.d3po_steps)
        if policy.backbone.prediction == "flow":
            raise ValueError(
                "--objective 'd3po' learns from the noise of a stochastic sampler, which a flow "
                "model's does not have; use sipo or flow-dpo"
            )
        self._number, self._block = -1, dict[str, Tensor]()
        self._failures: list[str] = []

    def draw(self, positions: Sequence[int], step: int) -> Transitions:
        """The rows at `positions` of optimizer step `step`."""
        number = step // self.settings.d3po_block
        if number != self._number:
            self._number, self._block = number, self._open(number)
        winner, loser = (self._block[name] for name in STATES)
        transitions = winner.shape[1] - 1
        count = len(winner) * transitions
        order = torch.randperm(count, generator=generator(self.settings.seed, "d3po", number))
        places = order[torch.tensor(positions) % count]
        pair, at = places // transitions, places % transitions
        names = [name for name in self._block if name not in STATES]
        return Transitions(
            keys=[f"block {number} place {int(place)}" for place in places],
            noisy=torch.cat([winner[pair, at], loser[pair, at]]),
            next=torch.cat([winner[pair, at + 1], loser[pair, at + 1]]),
            timesteps=self.timesteps[at].to(winner.device),
            previous=self.timesteps[at + 1].to(winner.device),
            conditioning={name: _twice(self._block[name][pair]) for name in names},
            empty={n: _rows(self.prompts.empty[n], 2 * len(at)).to(winner.device) for n in names},
        )

    def errors(self, batch: Transitions) -> Errors:
        """-log p(x_s | x_t) of policy and reference, mean over dimensions, guided as sampled."""
        timesteps, previous = _twice(batch.timesteps), _twice(batch.previous)
        arguments = (batch.noisy, timesteps, previous, batch.conditioning, batch.empty)

        def density() -> Tensor:
            return negative_log_density(batch.next, *self._step(*arguments))

        with self.policy.as_frozen(self.policy.reference), torch.no_grad():
            reference = density()
        with self.policy.as_trained():
            trained = density()
        (winner, loser), (ref_winner, ref_loser) = trained.chunk(2), reference.chunk(2)
        return Errors(winner, loser, ref_winner, ref_loser, cross=torch.zeros_like(ref_winner))

    def weights(self, batch: Transitions, errors: Errors) -> Weights:
        """All one: D3PO has its own clip."""
        ones = torch.ones_like(errors.ref_winner)
        return Weights(ones, ones, ones, ones)

    def _step(
        self,
        noisy: Tensor,
        timesteps: Tensor,
        previous: Tensor,
        conditioning: Conditioning,
        empty: Conditioning,
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the guided sampler's step."""
        backbone = self.policy.backbone
        output = _guided(backbone, noisy, timesteps, conditioning, empty, self.sampler.guidance)
        return transition(
            backbone.prediction, noisy, output, backbone.snr(timesteps), backbone.snr(previous)
        )

    def _open(self, number: int) -> dict[str, Tensor]:
        path = self.folder / f"block-{number:06d}.safetensors"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            beside = path.with_suffix(f".{os.getpid()}.tmp")
            beside.write_bytes(save(self._sample(number)))
            os.replace(beside, path)
        try:
            block = load_file(path)
        except SafetensorError as error:
            raise ValueError(
                f"{str(path)!r} is damaged ({error}); remove it, and go on from a checkpoint at or "
                f"before step {number * self.settings.d3po_block} with --resume_from_checkpoint"
            ) from None
        return {name: value.to(self.policy.device) for name, value in block.items()}

    def _sample(self, number: int) -> dict[str, Tensor]:
        """Pairs of whole trajectories (P, S, C, H, W) and their conditioning (P, ...)."""
        self._failures.clear()
        for attempt in range(ATTEMPTS):
            first = (number * ATTEMPTS + attempt) * self.settings.d3po_prompts
            pairs = [
                pair
                for place in range(first, first + self.settings.d3po_prompts)
                if (pair := self._pair(place)) is not None
            ]
            if pairs:
                rows = {name: [pair[name] for pair in pairs] for name in pairs[0]}
                return {name: torch.stack(row).float().cpu() for name, row in rows.items()}
        failed = Counter(self._failures).most_common(1)
        cause = f" (it failed on {len(self._failures)}: {failed[0][0]})" if failed else ""
        raise ValueError(
            f"the judge found no two candidates apart in {ATTEMPTS} x {self.settings.d3po_prompts} "
            f"prompts{cause}; give more --d3po_candidates"
        )

    @torch.no_grad()
    def _pair(self, place: int) -> dict[str, Tensor] | None:
        """The best and the worst candidate of a prompt; None where they tie or fail."""
        epoch, index = divmod(place, len(self.prompts))
        chosen = self.prompts.order(self.settings.seed + epoch)[index]
        prompt, conditioning = self.prompts.prompts[chosen], self.prompts.conditioning(chosen)
        count, backbone = self.settings.d3po_candidates, self.policy.backbone
        device = self.policy.device
        seeds = [generator(self.settings.seed, "d3po", place, i) for i in range(count)]

        def noise() -> Tensor:
            shape = self.prompts.latents_shape
            return torch.stack([torch.randn(shape, generator=seed) for seed in seeds]).to(device)

        rows = {name: _rows(value, count).to(device) for name, value in conditioning.items()}
        empty = {n: _rows(value, count).to(device) for n, value in self.prompts.empty.items()}
        states = [noise()]
        with self.policy.as_trained():
            for t, s in zip(self.timesteps, self.timesteps[1:], strict=False):
                both = (t.expand(count).to(device), s.expand(count).to(device))
                mean, std = self._step(states[-1], *both, rows, empty)
                states.append(mean + std * noise())
            last = self.timesteps[-1].expand(count).to(device)
            output = _guided(backbone, states[-1], last, rows, empty, self.sampler.guidance)
            # To the clean end the step is deterministic: SNR_s is infinite, a_s = 1, b_s = 0.
            clean = torch.full((count,), 1e12, dtype=torch.float64, device=device)
            arguments = (backbone.prediction, states[-1], output, backbone.snr(last), clean)
            latents, _ = transition(*arguments)
        images = backbone.decode_latents(latents)
        verdicts = judge_sound(self.judge, images, [prompt] * count)
        self._failures += [v.failure for v in verdicts if v.failure is not None]
        scored = [(v.score, i) for i, v in enumerate(verdicts) if v.score is not None]
        if not scored or max(scored)[0] == min(scored)[0]:
            return None
        trajectory = torch.stack(states, dim=1)
        pair = {"winner": trajectory[max(scored)[1]], "loser": trajectory[min(scored)[1]]}
        return pair | {name: value[0] for name, value in rows.items()}


def _guided(
    backbone: Backbone,
    noisy: Tensor,
    timesteps: Tensor,
    conditioning: Conditioning,
    empty: Conditioning,
    guidance: float,
) -> Tensor:
    """Classifier-free guidance (Ho & Salimans 2022), as the pipeline's: none at 1 or below."""
    if guidance <= 1:
        return backbone.predict(noisy, timesteps, conditioning)
    both = {name: torch.cat([empty[name], value]) for name, value in conditioning.items()}
    output = backbone.predict(_twice(noisy), _twice(timesteps), both)
    without, with_prompt = output.chunk(2)
    return without + guidance * (with_prompt - without)


def _twice(values: Tensor) -> Tensor:
    return torch.cat([values, values])


def _rows(value: Tensor, count: int) -> Tensor:
    return value.expand(count, *value.shape)
