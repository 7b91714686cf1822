"""The prompts of shard folders with their embeddings: what sampling in training starts from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from sipo.datagen.storage.latent_files import conditioning_of, from_npy
from sipo.datagen.storage.pair_dataset import common_meta, open_folders
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import read_fields
from sipo.feedback.prompts.prompt import Prompt


class PromptDataset:
    """Raises ValueError for a folder that is missing, unfinished or damaged."""

    def __init__(self, folder: str | Path | Sequence[str | Path]) -> None:
        folders = open_folders(folder)
        self.meta = common_meta(folders)
        self.prompts: list[Prompt] = []
        self._embeddings: list[Path] = []
        digest = hashlib.sha256()
        for opened in folders:
            for number in opened.numbers:
                opened.candidates(number)  # raises where it is missing or damaged
                for _, prompt in opened.prompts_of(number):
                    self.prompts.append(prompt)
                    self._embeddings.append(opened.embeddings(number))
                    digest.update(prompt.model_dump_json().encode())
        self._fingerprint = digest.hexdigest()
        self.empty = conditioning_of(folders[0].embeddings(0), "")
        members = next(iter(folders[0].candidates(0).samples.values())).members
        fields = read_fields(folders[0].tar(CANDIDATES, 0), {"npy": members["latents.npy"]})
        self.latents_shape = tuple(from_npy(fields["npy"]).shape)

    def __len__(self) -> int:
        return len(self.prompts)

    def conditioning(self, i: int) -> dict[str, Tensor]:
        return conditioning_of(self._embeddings[i], *self.prompts[i].parts)

    def order(self, seed: int) -> list[int]:
        """A permutation of the prompts that `seed` alone decides."""
        chance = torch.Generator().manual_seed(seed)
        return [int(i) for i in torch.randperm(len(self), generator=chance)]

    def fingerprint(self) -> str:
        """sha256 over the prompts."""
        return self._fingerprint
