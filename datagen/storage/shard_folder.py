"""A folder of shards: which are done, and which no longer hold.

A shard is done when its index is there, was made under this folder's configuration and fits the
tar.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path

from sipo.common.files.urls import place_of
from sipo.datagen.storage.folder_config import FILE, FolderConfig
from sipo.datagen.storage.shard_index import (
    CANDIDATES,
    PAIRS,
    CandidateIndex,
    Index,
    Kind,
    PairIndex,
    check_size,
    read_index,
)
from sipo.feedback.prompts.prompt import Prompt, read_prompts

SHARD_NAME = re.compile(rf"({CANDIDATES}|{PAIRS})-\d{{6}}\.(tar|json|safetensors)")
PROMPTS = "prompts.jsonl"
_NUMBERS = re.compile(r"\d+(,\d+)*")


class ForeignShardError(ValueError):
    """A shard that another command made. Never overwritten: it may be all there is of it."""


@dataclass(frozen=True)
class Part:
    """Shards that one command made: all of a folder, or of a merged one those of one of its parts,
    whose tars and indexes number prompts as they did there."""

    config: FolderConfig
    first_shard: int = 0
    first_prompt: int = 0  # in `prompts.jsonl`


@dataclass(frozen=True)
class ShardFolder:
    """`chosen` are the numbers of its shards that are spoken of, where it is not all."""

    path: Path
    config: FolderConfig
    chosen: tuple[int, ...] | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """Of its shards."""
        return range(self.config.shards) if self.chosen is None else self.chosen

    @property
    def begun(self) -> bool:
        """Whether there are candidates in it that were finished."""
        return any(self.path.glob(f"{CANDIDATES}-*.json"))

    def tar(self, kind: Kind, number: int) -> Path:
        return self.path / f"{kind}-{number:06d}.tar"

    def embeddings(self, number: int) -> Path:
        return self.path / f"{PAIRS}-{number:06d}.safetensors"

    def has_embeddings(self, number: int) -> bool:
        from sipo.datagen.storage.latent_files import (
            holds_embeddings,  # and torch, which help needs not
        )

        made_by = self.part_of(number).config.sampling_digests
        return holds_embeddings(self.embeddings(number), made_by)

    def candidates(self, number: int) -> CandidateIndex:
        """The index of a shard. Raises ValueError for a missing, truncated or foreign one."""
        return self._index(CANDIDATES, number, CandidateIndex)

    def pairs(self, number: int) -> PairIndex:
        """As `candidates`."""
        return self._index(PAIRS, number, PairIndex)

    def made(self, kind: Kind, number: int) -> dict[str, object]:
        """What the index of a shard that is made now says of it."""
        made_by = self.part_of(number).config.sampling_digest
        return {"kind": kind, "shard": number, "made_by": made_by}

    def pairs_are_of(self, pairs: PairIndex, candidates: CandidateIndex) -> bool:
        """Whether they were made from these candidates by the folder's policy."""
        made_from = (pairs.paired_by, pairs.candidates_sha256)
        return made_from == (self.config.pairing_digest, candidates.tar.sha256)

    def _index(self, kind: Kind, number: int, model: type[Index]) -> Index:
        tar, config = self.tar(kind, number), self.part_of(number).config
        try:
            index = read_index(tar.with_suffix(".json"), kind, model)
        except FileNotFoundError:
            command = "import" if config.is_import else "generate"
            raise ValueError(
                f"{tar} is not complete; run the same sipo-data {command} again"
            ) from None
        check_size(tar, index)
        if index.made_by in config.sampling_digests and index.shard == number:
            return index
        if config.is_import and config.encoded and index.made_by == config.pictures_digest:
            raise ValueError(f"{tar} has no latents yet; run the same sipo-data encode again")
        raise ForeignShardError(
            f"{tar} is foreign: another command made it than {self.path / FILE} says; take it out "
            "of the folder"
        )

    @cached_property
    def prompts(self) -> list[Prompt]:
        return read_prompts(self.path / PROMPTS)

    def prompts_of(self, number: int) -> list[tuple[int, Prompt]]:
        """The prompts of a shard, numbered as in its part."""
        part, size = self.part_of(number), self.config.prompts_per_shard
        first = (number - part.first_shard) * size
        last = first + size
        if self.config.merged:
            last = min(last, part.config.prompts.count or 0)
        before = part.first_prompt
        return list(enumerate(self.prompts[before + first : before + last], first))

    def part_of(self, number: int) -> Part:
        """Which of the folders that were merged a shard is of."""
        return next(part for part in reversed(self._parts) if number >= part.first_shard)

    @cached_property
    def _parts(self) -> list[Part]:
        configs = self.config.parts
        shards = accumulate((config.shards for config in configs[:-1]), initial=0)
        prompts = accumulate((config.prompts.count or 0 for config in configs[:-1]), initial=0)
        return list(map(Part, configs, shards, prompts))


def open_folder(path: str | Path) -> ShardFolder:
    """Raises ValueError when `path` is no folder of `sipo-data`, or an import half done."""
    folder = read_folder(place_of(path))
    if folder.config.prompts.count is None:
        raise ValueError(f"{path} is a stopped import; run the same sipo-data import again")
    return folder


def open_shards(text: str | Path) -> ShardFolder:
    """A folder, or with "FOLDER:0,3" those shards of it alone; as `open_folder`."""
    path, chosen = split_shards(text)
    folder = open_folder(path)
    if chosen is None:
        return folder
    if beyond := [number for number in chosen if number not in folder.numbers]:
        raise ValueError(f"{path} has shards 0 to {folder.numbers[-1]}, and no {beyond[0]}")
    return replace(folder, chosen=chosen)


def split_shards(text: str | Path) -> tuple[Path, tuple[int, ...] | None]:
    """The folder, and the numbers of shards that are named behind it: each once, in order."""
    folder, _, numbers = str(text).rpartition(":")
    if not folder or not _NUMBERS.fullmatch(numbers) or place_of(text).exists():
        return place_of(text), None
    return place_of(folder), tuple(sorted({int(number) for number in numbers.split(",")}))


def read_folder(path: Path) -> ShardFolder:
    """As `open_folder`, also where the import still goes on."""
    if not path.is_dir():
        raise ValueError(f"shard folder {str(path)!r} does not exist; give one of sipo-data")
    if not (path / FILE).is_file():
        foreign = sorted(tar.name for tar in path.glob("*.tar"))
        what = f"{foreign[0]}, which sipo-data did not make" if foreign else "no shards"
        raise ValueError(f"folder {str(path)!r} holds {what}; give a folder of sipo-data generate")
    return ShardFolder(path, FolderConfig.read(path))


def require_embeddings(folder: ShardFolder, number: int) -> None:
    """Raises ValueError for a shard whose prompts were not encoded, or no longer are."""
    if not folder.has_embeddings(number):
        path = folder.embeddings(number)
        raise ValueError(f"{path} is missing or damaged; run the same sipo-data generate again")


def require_latents(folder: ShardFolder) -> None:
    """Raises ValueError for an imported folder that was not encoded yet."""
    if not folder.config.encoded:
        raise ValueError(
            f"{folder.path} was imported and has no latents yet; "
            f"run sipo-data encode {folder.path} --backbone NAME first"
        )
