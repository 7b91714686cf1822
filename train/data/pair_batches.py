"""One batch of pairs: which pairs, which timesteps and noise.

Shapes: B pairs, K draws of (timestep, noise) each, R = B K rows. The position of a pair in the
stream of all pairs ever seen decides everything random about it, so a step is the same whatever
came before it: after a restart, with another batch size, on another number of devices.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import Tensor

from sipo.backbones.base import Conditioning
from sipo.backbones.editing import without_text
from sipo.train.settings import TrainSettings

CACHE_BYTES = 2**30


class PairLike(Protocol):
    """Clean latents (C, H, W) of winner and loser, and what they are conditioned on.

    `loser_conditioning` is None where the loser has the winner's prompt. `rewards` are in [0, 1];
    of a pair 1 and 0.
    """

    @property
    def key(self) -> str: ...
    @property
    def winner(self) -> Tensor: ...
    @property
    def loser(self) -> Tensor: ...
    @property
    def conditioning(self) -> Conditioning: ...
    @property
    def loser_conditioning(self) -> Conditioning | None: ...
    @property
    def rewards(self) -> tuple[float, float]: ...


class Data(Protocol):
    """What every objective's data has; `empty` is the empty prompt's conditioning."""

    @property
    def meta(self) -> Mapping[str, object]: ...
    @property
    def empty(self) -> Conditioning: ...
    def __len__(self) -> int: ...
    def fingerprint(self) -> str: ...


class Pairs(Data, Protocol):
    def __getitem__(self, index: int, /) -> PairLike: ...


@dataclass(frozen=True)
class Batch:
    """R rows: latents, noise (R, C, H, W), timesteps (R,); conditioning (2R, ...), rewards (2R,).

    `keys` names each row's pair.
    """

    keys: list[str]
    winner: Tensor
    loser: Tensor
    noise: Tensor
    timesteps: Tensor
    conditioning: Conditioning
    rewards: Tensor


@dataclass(frozen=True)
class _Kept:
    """A pair in memory, its conditioning that of all pairs of its text."""

    key: str
    winner: Tensor
    loser: Tensor
    conditioning: Conditioning
    loser_conditioning: Conditioning | None
    rewards: tuple[float, float]


class PairStream:
    """Position -> pair: every epoch is a permutation that (seed, epoch) alone decides."""

    def __init__(self, pairs: Pairs, seed: int) -> None:
        self.pairs = pairs
        self.seed = seed
        self._permutation = lru_cache(maxsize=2)(self._draw_permutation)
        self._cache: dict[int, PairLike] = {}
        self._texts: dict[bytes, Conditioning] = {}
        self._cached_bytes = 0

    def _draw_permutation(self, epoch: int) -> list[int]:
        order = torch.randperm(len(self.pairs), generator=generator(self.seed, "epoch", epoch))
        return [int(index) for index in order]

    def epoch(self, position: int) -> int:
        return position // len(self.pairs)

    def index(self, position: int) -> int:
        epoch, place = divmod(position, len(self.pairs))
        return self._permutation(epoch)[place]

    def __getitem__(self, position: int) -> PairLike:
        index = self.index(position)
        if index not in self._cache:
            pair = self.pairs[index]
            if self._cached_bytes > CACHE_BYTES:
                return pair
            self._cached_bytes += pair.winner.nbytes + pair.loser.nbytes
            other = pair.loser_conditioning
            self._cache[index] = _Kept(
                pair.key,
                pair.winner,
                pair.loser,
                self._shared(pair.conditioning),
                None if other is None else self._shared(other),
                pair.rewards,
            )
        return self._cache[index]

    def _shared(self, text: Conditioning) -> Conditioning:
        """The same values are kept once, however many pairs have them: T5's are 4 MB a prompt."""
        digest = hashlib.blake2b()
        for name, value in text.items():
            raw = value.detach().contiguous().flatten().view(torch.uint8).numpy()
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(raw.data)
        if (key := digest.digest()) not in self._texts:
            self._texts[key] = text
            self._cached_bytes += sum(value.nbytes for value in text.values())
        return self._texts[key]


def positions(step: int, part: int, process: int, processes: int, settings: TrainSettings) -> range:
    """The pairs of one forward pass of one process: all passes together are the whole stream."""
    passes = (step * settings.gradient_accumulation_steps + part) * processes + process
    first = passes * settings.train_batch_size
    return range(first, first + settings.train_batch_size)


def generator(seed: int, *where: str | int) -> torch.Generator:
    """A generator of its own for every place where chance is needed."""
    digest = hashlib.blake2b(repr((seed, *where)).encode(), digest_size=8).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest) >> 1)


@dataclass(frozen=True)
class Draw:
    """A row to be: one timestep and noise of one pair."""

    pair: PairLike
    noise: Tensor
    timestep: Tensor
    conditioning: Conditioning
    loser_conditioning: Conditioning


def draw_batch(
    stream: PairStream, positions: Sequence[int], settings: TrainSettings, timesteps: range
) -> Batch:
    """The pairs at `positions`, each `timesteps_per_pair` times, winner and loser sharing noise, at
    some of `timesteps`.

    With `reference_draws` K, a pair's timesteps and noise come again every K epochs.
    """
    low, high = timesteps.start, timesteps.stop
    draws: list[Draw] = []
    for position in positions:
        pair = stream[position]
        where: tuple[str | int, ...] = (position,)
        if settings.reference_draws:
            where = (pair.key, stream.epoch(position) % settings.reference_draws)
        chance = generator(settings.seed, "draw", *where)
        dropped = float(torch.rand((), generator=chance)) < settings.proportion_empty_prompts
        conditioning = pair.conditioning
        of_loser = pair.loser_conditioning or conditioning
        if dropped:
            conditioning = without_text(conditioning, stream.pairs.empty)
            of_loser = without_text(of_loser, stream.pairs.empty)
        for _ in range(settings.timesteps_per_pair):
            if settings.timestep_distribution == "uniform":
                u = torch.rand((), generator=chance)
            else:  # logit-normal (Esser et al. 2024, section 3.1)
                u = torch.randn((), generator=chance).sigmoid()
            timestep = (low + u * (high - low)).long().clamp(max=high - 1)
            noise = torch.randn(pair.winner.shape, generator=chance)
            draws.append(Draw(pair, noise, timestep, conditioning, of_loser))
    return collate(draws)


def collate(draws: Sequence[Draw]) -> Batch:
    """Raises ValueError for rows of different sizes."""
    texts = [draw.conditioning for draw in draws] + [draw.loser_conditioning for draw in draws]
    _require_one_shape([side for draw in draws for side in (draw.pair.winner, draw.pair.loser)])
    if any(text.keys() != texts[0].keys() for text in texts):
        raise ValueError(
            "--data holds pairs of prompts with and without a picture (before), which one batch "
            "cannot; give folders of one kind or set --train_batch_size 1"
        )
    for name in texts[0]:
        _require_one_shape([text[name] for text in texts])
    return Batch(
        keys=[draw.pair.key for draw in draws],
        winner=torch.stack([draw.pair.winner.float() for draw in draws]),
        loser=torch.stack([draw.pair.loser.float() for draw in draws]),
        noise=torch.stack([draw.noise for draw in draws]),
        timesteps=torch.stack([draw.timestep for draw in draws]),
        conditioning={name: torch.stack([text[name] for text in texts]) for name in texts[0]},
        rewards=torch.tensor([draw.pair.rewards for draw in draws]).T.flatten(),
    )


def _require_one_shape(tensors: Sequence[Tensor]) -> None:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        one, other = sorted(shapes)[:2]
        raise ValueError(
            f"--data holds pairs of different sizes, which one batch cannot ({list(one)} and "
            f"{list(other)}); generate shards of one size or set --train_batch_size 1"
        )
