"""Pairs of a backbone's own samples, in memory, as shards would give them to training."""

from __future__ import annotations

from typing import Any

from sipo.backbones.base import Backbone
from sipo.datagen.storage.pair_dataset import LatentPair


class SampledPairs:
    """One pair a prompt: seed 0 wins over seed 1."""

    def __init__(self, backbone: Backbone, texts: list[str]) -> None:
        sampler = backbone.default_sampler
        winners, losers = (backbone.sample(texts, [seed] * len(texts), sampler) for seed in (0, 1))
        self.winners, self.losers = winners, losers
        *rows, self.empty = [
            {name: value[i] for name, value in backbone.encode_prompts([*texts, ""]).items()}
            for i in range(len(texts) + 1)
        ]
        self.meta: dict[str, Any] = {"backbone": {"name": backbone.name}}
        self.records = [
            LatentPair(text, text, "", winner.latents, loser.latents, row, margin=1.0)
            for text, winner, loser, row in zip(texts, winners, losers, rows, strict=True)
        ]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LatentPair:
        return self.records[index]

    def fingerprint(self) -> str:
        return f"sampled {[record.text for record in self.records]}"
