"""Data that come while a run goes on: folder after folder, each for its number of steps.

A run on the folders that are there so far ends with their last step. With one folder more it goes
on as if all had been there from the start: optimizer, learning rate and moving averages know of
the steps of the whole run, and nothing of folders.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, cast

from sipo.datagen.storage.shard_folder import split_shards
from sipo.train.data.pair_batches import Data, PairLike, Pairs
from sipo.train.settings import TrainSettings

if TYPE_CHECKING:
    from sipo.backbones.base import Conditioning


@dataclass(frozen=True)
class Turns:
    """`parts[k]` is the data of steps k * steps to (k + 1) * steps, the last excluded."""

    parts: Sequence[Data]
    steps: int

    @property
    def meta(self) -> Mapping[str, object]:
        """The first part's, sampled by all policies that sampled any."""
        policies = chain.from_iterable(
            cast(list[str], part.meta["sampled_by"]) for part in self.parts
        )
        return {**self.parts[0].meta, "sampled_by": sorted(set(policies))}

    @property
    def empty(self) -> Conditioning:
        return self.parts[0].empty

    @property
    def last_step(self) -> int:
        return len(self.parts) * self.steps

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __getitem__(self, i: int) -> PairLike:
        """Of all parts, one after the other."""
        part = 0
        while i >= len(self.parts[part]):
            i, part = i - len(self.parts[part]), part + 1
        return cast(Pairs, self.parts[part])[i]

    def fingerprint(self) -> str:
        """Of all parts in order: with one part more it is longer, and begins as before."""
        return " ".join(part.fingerprint() for part in self.parts)


def folders_by_turn(settings: TrainSettings) -> list[list[str]]:
    """What each turn is trained on: its folder, and those shards of others that go with all."""
    mixed = [text for text in settings.data if split_shards(text)[1] is not None]
    turns = [text for text in settings.data if text not in mixed]
    if not turns:
        raise ValueError(
            "--steps_per_folder gives each folder of --data its turn, and those given are shards "
            "that go with all (FOLDER:0,3); give a whole folder first"
        )
    return [[folder, *mixed] for folder in turns]
