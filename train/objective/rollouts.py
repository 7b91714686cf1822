"""D3PO's data: trajectories of the policy as it is now, sampled and judged during training.

Yang et al. 2024: candidates of a prompt are sampled step by step, the judge names a winner and a
loser, and every denoising step of the two is a pair. A block of training steps learns from what
the policy of its first step sampled. The block's file makes a restart exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from sipo.backbones.base import Conditioning, Sampler
from sipo.backbones.editing import without_text
from sipo.common.files.writing import atomic
from sipo.datagen.storage.prompt_dataset import PromptDataset
from sipo.feedback.judge import Judge
from sipo.feedback.judge_batches import judge_sound
from sipo.feedback.rule.verdict import Verdict
from sipo.train import checkpoint_files
from sipo.train.data.pair_batches import generator
from sipo.train.data.reference_cache import ReferenceCache
from sipo.train.distributed.together import (
    everyones,
    in_turn,
    on_every_process,
    rank_and_size,
    share_of,
)
from sipo.train.objective.denoising_errors import Measured
from sipo.train.objective.importance import Weights
from sipo.train.objective.losses import Errors
from sipo.train.objective.sampler_steps import negative_log_density, steps_of
from sipo.train.policy import Network, Policy
from sipo.train.settings import TrainSettings

ATTEMPTS = 8  # draws of prompts without a single pair before giving up
STATES = ("winner", "loser")
"""Of a block's tensors; all others are the prompts' conditioning."""


@dataclass(frozen=True)
class Guided:
    """Prompts, and the empty one beside each: (B, ...)."""

    conditioning: Conditioning
    empty: Conditioning


@dataclass(frozen=True)
class Transitions:
    """R pairs of steps x_t -> x_s: `timesteps` and `previous` are (R,), `noisy` and `next`
    (2R, C, H, W), `prompts` 2R, winners first.
    """

    keys: list[str]
    noisy: Tensor
    next: Tensor
    timesteps: Tensor
    previous: Tensor
    prompts: Guided


@dataclass(frozen=True)
class Try:
    """Of one prompt, on the CPU: winner and loser (S, C, H, W) with its conditioning, None where
    all candidates tie or fail, and why the judge failed.
    """

    pair: dict[str, Tensor] | None
    failures: list[str]


class Trajectories:
    """A source of D3PO's batches and errors. `folder` keeps the blocks."""

    cache: ReferenceCache | None = None

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
        self.steps = steps_of(policy.backbone, prompts.latents_shape, settings)
        self.timesteps = self.steps.timesteps
        self._number, self._block = -1, dict[str, Tensor]()

    def measure(self, positions: Sequence[int], step: int) -> Measured:
        """Errors are -log p(x_s | x_t), mean over dimensions, guided as sampled; weights all one:
        D3PO has its own clip.
        """
        batch = self.draw(positions, step)
        ref_winner, ref_loser = self._density(self.policy.reference, batch).chunk(2)
        winner, loser = self._density("trained", batch).chunk(2)
        ones, zeros = torch.ones_like(ref_winner), torch.zeros_like(ref_winner)
        errors = Errors(winner, loser, ref_winner, ref_loser, cross=zeros)
        return Measured(batch.keys, batch.timesteps, errors, Weights(ones, ones, ones, ones))

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
            prompts=Guided(
                {name: _twice(self._block[name][pair]) for name in names},
                _rows(self.prompts.empty, 2 * len(at), winner.device),
            ),
        )

    def _density(self, which: Network, batch: Transitions) -> Tensor:
        step = _twice(batch.timesteps), _twice(batch.previous)
        return negative_log_density(
            batch.next, *self._step(which, batch.noisy, *step, batch.prompts)
        )

    def _step(
        self, which: Network, noisy: Tensor, timesteps: Tensor, previous: Tensor, prompts: Guided
    ) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the guided sampler's step."""
        output = self._guided(which, noisy, timesteps, prompts)
        return self.steps.step(noisy, output, timesteps, previous)

    def _guided(self, which: Network, noisy: Tensor, timesteps: Tensor, prompts: Guided) -> Tensor:
        """As the pipeline's; some are told it."""
        backbone, asked = self.policy.backbone, self.sampler.guidance
        if (guidance := backbone.guidance_scale(asked)) == 1:
            told = backbone.told_guidance(prompts.conditioning, asked)
            return self.policy.predict(which, noisy, timesteps, told)
        empty = without_text(prompts.conditioning, prompts.empty)
        both = {
            name: torch.cat([empty[name], value]) for name, value in prompts.conditioning.items()
        }
        output = self.policy.predict(which, _twice(noisy), _twice(timesteps), both)
        without, with_prompt = output.chunk(2)
        return backbone.guided(without, with_prompt, guidance)

    def _open(self, number: int) -> dict[str, Tensor]:
        """Sampled by all processes together, kept by the main one."""
        path = self.folder / f"block-{number:06d}.safetensors"
        is_main = rank_and_size()[0] == 0
        if everyones(path.exists())[0]:
            block = self._read(path, number)
        else:
            block = self._sample(number)
            if is_main:
                self.folder.mkdir(parents=True, exist_ok=True)
                with atomic(path) as file:
                    file.write(save(block))
        if is_main:
            self._forget_before(number)
        return {name: value.to(self.policy.device) for name, value in block.items()}

    def _read(self, path: Path, number: int) -> dict[str, Tensor]:
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(
                f"{str(path)!r} is damaged ({error}); remove it, and go on from a checkpoint at or "
                f"before step {number * self.settings.d3po_block} with --resume_from_checkpoint"
            ) from None

    def _forget_before(self, number: int) -> None:
        """Blocks that no checkpoint needs to go on. One in the middle of a block needs it: the
        policy that sampled it is gone.
        """
        kept = checkpoint_files.checkpoints(self.folder.parent)
        steps = [checkpoint_files.step_of(path) for path in kept]
        size = self.settings.d3po_block
        first = min(number, max(steps, default=0) // size)
        needed = {step // size for step in steps if step % size}
        for path in self.folder.glob("block-*.safetensors"):
            other = int(path.stem.removeprefix("block-"))
            if other < first and other not in needed:
                path.unlink()

    def _sample(self, number: int) -> dict[str, Tensor]:
        """Pairs of whole trajectories (P, S, C, H, W) and their conditioning (P, ...)."""
        failures: list[str] = []
        for attempt in range(ATTEMPTS):
            first = (number * ATTEMPTS + attempt) * self.settings.d3po_prompts
            groups = self._groups(range(first, first + self.settings.d3po_prompts))
            tries = in_turn(on_every_process(partial(self._try_all, groups)))
            failures += [failure for one in tries for failure in one.failures]
            if pairs := [one.pair for one in tries if one.pair is not None]:
                return {name: torch.stack([pair[name] for pair in pairs]) for name in pairs[0]}
        failed = Counter(failures).most_common(1)
        cause = f" (it failed on {len(failures)}: {failed[0][0]})" if failed else ""
        raise ValueError(
            f"the judge found no two candidates apart in {ATTEMPTS} x {self.settings.d3po_prompts} "
            f"prompts{cause}; give more --d3po_candidates"
        )

    def _groups(self, places: range) -> list[range]:
        """Prompts that are sampled in one batch: about --train_batch_size candidates.

        One prompt on a CPU, which larger batches do not help: so its blocks are the same to the
        bit whatever the batch and the number of processes. On a GPU they round otherwise.
        """
        at_once = 1
        if self.policy.device.type != "cpu":
            most = self.settings.train_batch_size // self.settings.d3po_candidates
            at_once = max(1, min(most, -(-len(places) // rank_and_size()[1])))
        return [places[at : at + at_once] for at in range(0, len(places), at_once)]

    def _try_all(self, groups: Sequence[range]) -> list[list[Try]]:
        """This process's share of them."""
        return [self._try(group) for group in share_of(groups)]

    def _try(self, places: Sequence[int]) -> list[Try]:
        """The prompts at these places of the stream of prompts."""
        count = self.settings.d3po_candidates
        chosen = [self._prompt(place) for place in places]
        conditioning = [self.prompts.conditioning(prompt) for prompt in chosen]
        states, latents = self.rollout(places, conditioning)
        images = self.policy.backbone.decode_latents(latents)
        asked = [self.prompts.prompts[prompt] for prompt in chosen for _ in range(count)]
        verdicts = judge_sound(self.judge, images, asked)
        return [
            _best_and_worst(states[first : first + count], verdicts[first : first + count], text)
            for first, text in zip(range(0, len(asked), count), conditioning, strict=True)
        ]

    def _prompt(self, place: int) -> int:
        epoch, index = divmod(place, len(self.prompts))
        return self.prompts.order(self.settings.seed + epoch)[index]

    @torch.no_grad()
    def rollout(
        self, places: Sequence[int], conditioning: Sequence[Conditioning]
    ) -> tuple[Tensor, Tensor]:
        """Of the policy, N candidates of each prompt: their states (PN, S, C, H, W) and clean
        latents.
        """
        count, device = self.settings.d3po_candidates, self.policy.device
        seeds = [
            generator(self.settings.seed, "d3po", place, i)
            for place in places
            for i in range(count)
        ]
        prompts = Guided(
            _each(conditioning, count, device), _rows(self.prompts.empty, len(seeds), device)
        )

        def noise() -> Tensor:
            shape = self.prompts.latents_shape
            return torch.stack([torch.randn(shape, generator=seed) for seed in seeds]).to(device)

        states = [noise()]
        for t, s in pairwise(self.timesteps):
            step = t.expand(len(seeds)).to(device), s.expand(len(seeds)).to(device)
            mean, std = self._step("trained", states[-1], *step, prompts)
            states.append(mean + std * noise())
        last = self.timesteps[-1].expand(len(seeds)).to(device)
        output = self._guided("trained", states[-1], last, prompts)
        return torch.stack(states, dim=1), self.steps.clean(states[-1], output, last)


def choose(verdicts: Sequence[Verdict]) -> tuple[int, int] | None:
    """The places of the best and the worst; None where all that were judged tie."""
    scored = [(v.score, place) for place, v in enumerate(verdicts) if v.score is not None]
    if not scored or max(scored)[0] == min(scored)[0]:
        return None
    return max(scored)[1], min(scored)[1]


def _best_and_worst(states: Tensor, verdicts: Sequence[Verdict], text: Conditioning) -> Try:
    failures = [verdict.failure for verdict in verdicts if verdict.failure is not None]
    if (pair := choose(verdicts)) is None:
        return Try(None, failures)
    tensors = dict(zip(STATES, (states[at] for at in pair), strict=True)) | text
    return Try({name: _kept(value) for name, value in tensors.items()}, failures)


def _kept(value: Tensor) -> Tensor:
    """On the CPU; masks as they are, for a denoiser may take rows by them."""
    return (value.float() if value.is_floating_point() else value).cpu()


def _twice(values: Tensor) -> Tensor:
    return torch.cat([values, values])


def _rows(values: Conditioning, count: int, device: torch.device) -> Conditioning:
    """Of one prompt (...) -> (count, ...)."""
    return {name: value.expand(count, *value.shape).to(device) for name, value in values.items()}


def _each(values: Sequence[Conditioning], count: int, device: torch.device) -> Conditioning:
    """Of P prompts (...) -> (P count, ...)."""
    rows = [_rows(one, count, device) for one in values]
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
