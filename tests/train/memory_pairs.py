"""A dataset without files: random latents with the shapes of the tiny pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from sipo.datagen.storage.pair_dataset import LatentPair
from sipo.feedback.prompts import grammar
from sipo.train.checkpoint_files import RunSummary

Run = Callable[..., RunSummary]
"""The fixture `run`: train a few steps into a named folder."""


class MemoryPairs:
    def __init__(self, count: int) -> None:
        chance = torch.Generator().manual_seed(count)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=chance)

        self.meta: dict[str, Any] = {"backbone": {"name": "tiny"}}
        self.empty = {"encoder_hidden_states": draw(3, 32)}
        self.records = [
            LatentPair(
                key=f"pair-{number}",
                text="",
                tag="",
                winner=draw(4, 8, 8),
                loser=draw(4, 8, 8),
                conditioning={"encoder_hidden_states": draw(3, 32)},
                margin=1.0,
            )
            for number in range(count)
        ]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LatentPair:
        return self.records[index]

    def fingerprint(self) -> str:
        return f"memory {len(self)}"


class MemoryPrompts:
    """Three prompts with random embeddings."""

    def __init__(self) -> None:
        chance = torch.Generator().manual_seed(0)
        sampler = {"steps": 2, "guidance": 2.0}
        self.meta: dict[str, Any] = {"backbone": {"name": "tiny"}, "sampler": sampler}
        self.prompts = [grammar.single_object(name) for name in ("cat", "dog", "bus")]
        self.latents_shape = (4, 8, 8)
        self.empty = {"encoder_hidden_states": torch.randn((3, 32), generator=chance)}
        self.rows = torch.randn((3, 3, 32), generator=chance)

    def __len__(self) -> int:
        return len(self.prompts)

    def conditioning(self, i: int) -> dict[str, Tensor]:
        return {"encoder_hidden_states": self.rows[i]}

    def order(self, seed: int) -> list[int]:
        return [(seed + i) % len(self) for i in range(len(self))]

    def fingerprint(self) -> str:
        return "memory prompts"
