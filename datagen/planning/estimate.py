"""What a folder of shards, a training on it and two evaluations take: time, storage, money."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Literal

from sipo.backbones.cost import cards
from sipo.backbones.cost.rate import Rate
from sipo.datagen.planning.settings import PlanSettings

PNG_BYTES = 1.25
"""A pixel: photographs of 1024 px, deflate's level 1 by run lengths, docs/shards.md."""
TAR_BYTES = 1024
Name = Literal["generate", "train", "evaluate"]


@dataclass(frozen=True)
class Sizes:
    """Bytes of a candidate's picture and latents, and of a prompt's embeddings."""

    picture: float
    latents: float
    text: float


@dataclass(frozen=True)
class Stage:
    """`device_hours` of work; `wall_hours` on all devices, whose last shard may keep few busy."""

    name: Name
    count: int  # images sampled and judged, or pairs trained on
    device_hours: float
    wall_hours: float


@dataclass(frozen=True)
class Estimate:
    """Of one way from prompts to an evaluated policy. `money` is for all devices from beginning to
    end."""

    prompts: int
    candidates: int
    shards: int
    pairs: int
    shard_minutes: float  # on one device: as long as all wait for the last at most
    stages: tuple[Stage, ...]
    device_hours: float
    wall_hours: float
    money: float | None
    candidate_bytes: float
    pair_bytes: float
    embedding_bytes: float
    sources: tuple[str, ...]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)


def estimate(
    settings: PlanSettings, prompts: int, rate: Rate, sizes: Sizes, looks: int = 1
) -> Estimate:
    """`looks` of the judge at a candidate: its frames, where it is a clip; 0 where the rate has
    them."""
    devices, each = settings.device_count, settings.prompts_per_shard
    shards = math.ceil(prompts / each)
    images, pairs = prompts * settings.candidates, _pairs(settings, prompts)
    image_h = (rate.image_s + looks / cards.JUDGED_S) / 3600
    shard_h = each * settings.candidates * image_h
    training_h = settings.num_train_epochs * pairs * rate.pair_s / 3600
    looked_at = 2 * settings.eval_images
    generate_h = images * image_h
    longest_h = math.ceil(shards / devices) * shard_h  # the fullest device
    stages = (
        Stage("generate", images, generate_h, min(generate_h, longest_h)),
        Stage("train", round(settings.num_train_epochs * pairs), training_h, training_h / devices),
        Stage("evaluate", looked_at, looked_at * image_h, looked_at * image_h / devices),
    )
    wall_h = sum(stage.wall_hours for stage in stages)
    kept = sizes.picture + sizes.latents + 2 * TAR_BYTES
    return Estimate(
        prompts=prompts,
        candidates=images,
        shards=shards,
        pairs=pairs,
        shard_minutes=60 * shard_h,
        stages=stages,
        device_hours=sum(stage.device_hours for stage in stages),
        wall_hours=wall_h,
        money=None if settings.price is None else settings.price * devices * wall_h,
        candidate_bytes=images * kept,
        pair_bytes=2 * pairs * kept,
        embedding_bytes=(prompts + shards) * sizes.text,
        sources=rate.sources,
    )


def _pairs(settings: PlanSettings, prompts: int) -> int:
    """Of the prompts that are kept, as many as there can be of so many candidates."""
    number = settings.candidates
    there = {
        "all-over-margin": number * (number - 1) // 2,
        "best-vs-worst": 1,
        "correct-vs-incorrect": number // 2 * (number - number // 2),
    }[settings.policy]
    return round(settings.keep_rate * prompts * min(settings.max_pairs_per_prompt, there))
