"""Every judged candidate as training reads it: desirable beside undesirable, of any prompts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.datagen.storage.latent_files import conditioning_of, from_npy
from sipo.datagen.storage.pair_dataset import LatentPair, common_meta, open_folders
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import Members, read_fields


@dataclass(frozen=True)
class _Entry:
    key: str
    text: str
    tag: str
    desirable: bool
    tar: Path
    members: Members
    embeddings: Path


class UnpairedDataset:
    """Correct candidates are desirable, the others undesirable; failed judgements are left out.

    Item i has desirable i and undesirable i, modulo their numbers, as "winner" and "loser": an
    epoch shows every verdict at least once, and both kinds equally often.
    Raises ValueError for what PairDataset refuses, and where there is only one kind.
    """

    def __init__(self, folder: str | Path | Sequence[str | Path]) -> None:
        folders = open_folders(folder)
        digest = hashlib.sha256()
        entries: list[_Entry] = []
        for opened in folders:
            for number in opened.numbers:
                entries += _entries(opened, number)
                index = opened.tar(CANDIDATES, number).with_suffix(".json")
                digest.update(index.read_bytes())
        self._fingerprint = digest.hexdigest()
        self.meta = common_meta(folders)
        self.empty = conditioning_of(folders[0].embeddings(0), "")
        self.desirable = [entry for entry in entries if entry.desirable]
        self.undesirable = [entry for entry in entries if not entry.desirable]
        if not self.desirable or not self.undesirable:
            lacking = "undesirable" if self.desirable else "desirable"
            names = ", ".join(str(opened.path) for opened in folders)
            raise ValueError(f"{names} holds no {lacking} candidates; generate more prompts")

    def __len__(self) -> int:
        return max(len(self.desirable), len(self.undesirable))

    def __getitem__(self, i: int) -> LatentPair:
        good = self.desirable[i % len(self.desirable)]
        bad = self.undesirable[i % len(self.undesirable)]
        latents = [
            from_npy(read_fields(side.tar, {"npy": side.members["latents.npy"]})["npy"])
            for side in (good, bad)
        ]
        return LatentPair(
            key=f"{good.key}+{bad.key}",
            text=good.text,
            tag=good.tag,
            winner=latents[0],
            loser=latents[1],
            conditioning=conditioning_of(good.embeddings, good.text),
            loser_conditioning=conditioning_of(bad.embeddings, bad.text),
            margin=1.0,
        )

    def fingerprint(self) -> str:
        """sha256 over the candidates' indexes, which hold verdicts and the hashes of the tars."""
        return self._fingerprint


def _entries(folder: ShardFolder, number: int) -> Iterator[_Entry]:
    tar = folder.tar(CANDIDATES, number)
    index = folder.candidates(number)
    prompts = dict(folder.prompts_of(number))
    for key, sample in index.samples.items():
        if sample.failure is None:
            yield _Entry(
                key=f"{index.tar.sha256[:12]}-{key}",
                text=prompts[sample.prompt].text,
                tag=sample.tag,
                desirable=sample.correct,
                tar=tar,
                members=sample.members,
                embeddings=folder.embeddings(number),
            )
