"""The judged candidates of folders, by their indexes: what is learnt from without pairs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from sipo.datagen.storage.latent_files import conditioning_of, from_npy
from sipo.datagen.storage.pair_dataset import LatentPair
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import Members, read_fields


@dataclass(frozen=True)
class Candidate:
    """`prompt` is its folder's place and its number there; `parts` are Prompt's."""

    key: str
    prompt: tuple[int, int]
    text: str
    parts: tuple[str, ...]
    tag: str
    correct: bool
    score: float
    tar: Path
    members: Members
    embeddings: Path

    def latents(self) -> Tensor:
        """(C, H, W)."""
        return from_npy(read_fields(self.tar, {"npy": self.members["latents.npy"]})["npy"])

    def conditioning(self) -> dict[str, Tensor]:
        return conditioning_of(self.embeddings, *self.parts)


def judged_candidates(folders: Sequence[ShardFolder]) -> tuple[list[Candidate], str]:
    """All of them but failed judgements, in order; and the sha256 over their indexes, which hold
    verdicts and the hashes of the tars.
    """
    found: list[Candidate] = []
    digest = hashlib.sha256()
    for place, folder in enumerate(folders):
        for number in folder.numbers:
            found += _of_shard(folder, place, number)
            digest.update(folder.tar(CANDIDATES, number).with_suffix(".json").read_bytes())
    return found, digest.hexdigest()


def _of_shard(folder: ShardFolder, place: int, number: int) -> Iterator[Candidate]:
    index, before = folder.candidates(number), folder.part_of(number).first_prompt
    prompts = dict(folder.prompts_of(number))
    for key, sample in index.samples.items():
        if sample.failure is None and sample.score is not None:
            yield Candidate(
                key=f"{index.tar.sha256[:12]}-{key}",
                prompt=(place, before + sample.prompt),
                text=prompts[sample.prompt].text,
                parts=prompts[sample.prompt].parts,
                tag=sample.tag,
                correct=sample.correct,
                score=sample.score,
                tar=folder.tar(CANDIDATES, number),
                members=sample.members,
                embeddings=folder.embeddings(number),
            )


def side_by_side(
    winner: Candidate, loser: Candidate, margin: float, rewards: tuple[float, float]
) -> LatentPair:
    """In the slots of a pair, whatever their prompts."""
    alike = winner.prompt == loser.prompt
    return LatentPair(
        key=f"{winner.key}+{loser.key}",
        text=winner.text,
        tag=winner.tag,
        winner=winner.latents(),
        loser=loser.latents(),
        conditioning=winner.conditioning(),
        loser_conditioning=None if alike else loser.conditioning(),
        margin=margin,
        rewards=rewards,
    )
