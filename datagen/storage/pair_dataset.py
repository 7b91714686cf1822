"""Pairs as training reads them: random access through the indexes of one or several folders."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from torch import Tensor

from sipo.datagen.storage.decisions import LEFT_OUT, Decision, Decisions, names_of, pair_key
from sipo.datagen.storage.latent_files import conditioning_of, from_npy
from sipo.datagen.storage.sample_json import PairJson, row_of
from sipo.datagen.storage.shard_folder import (
    ShardFolder,
    open_shards,
    require_embeddings,
    require_latents,
)
from sipo.datagen.storage.shard_index import PAIRS
from sipo.datagen.storage.shard_tar import Members, read_fields

_OTHER = {"winner.npy": "loser.npy", "loser.npy": "winner.npy"}


@dataclass(frozen=True)
class LatentPair:
    """`winner` and `loser` are clean latents (C, H, W) float32; `conditioning` has no batch axis.

    `key` names the content: the same pair has the same key wherever its folder lies. `margin` is
    the judge's, also where a person flipped the pair. `rewards` are the two's, in [0, 1].
    """

    key: str
    text: str
    tag: str
    winner: Tensor
    loser: Tensor
    conditioning: dict[str, Tensor]
    margin: float
    loser_conditioning: dict[str, Tensor] | None = None  # where it is of another prompt
    rewards: tuple[float, float] = (1.0, 0.0)


@dataclass(frozen=True)
class _Entry:
    key: str
    tar: Path
    members: Members


class PairDataset:
    """Map-style and picklable: a file is opened for each read, so workers share nothing.

    What people decided in `sipo-data review` is heeded; `review` counts it. Raises ValueError for
    a folder that is missing, unfinished, truncated, foreign or without pairs.
    """

    def __init__(self, folder: str | Path | Sequence[str | Path]) -> None:
        folders = open_folders(folder)
        self._entries: list[_Entry] = []
        self.review: Counter[str] = Counter()
        digest = hashlib.sha256()
        for opened in folders:
            found: list[_Entry] = []
            for number in opened.numbers:
                found += _entries(opened, number)
                digest.update(opened.tar(PAIRS, number).with_suffix(".json").read_bytes())
            decided = self._decided(opened, found)
            for entry in found:
                decision = decided.get(entry.key, "keep")
                if decision != "keep":
                    digest.update(f"{decision} {entry.key}\n".encode())
                if decision not in LEFT_OUT:
                    self._entries.append(_flipped(entry) if decision == "flip" else entry)
        self._fingerprint = digest.hexdigest()
        self.meta = common_meta(folders)
        if not self._entries:
            names = ", ".join(str(opened.path) for opened in folders)
            remedy = "lower the margin with sipo-data pair"
            if self.review["drop"] or self.review["tie"]:
                remedy = "its reviewers dropped them all, see sipo-data review"
            raise ValueError(f"{names} holds no pairs; {remedy}")
        if len({entry.key for entry in self._entries}) < len(self._entries):
            raise ValueError("the same shards were given twice; give each folder once")
        self.empty = conditioning_of(folders[0].embeddings(0), "")

    def _decided(self, folder: ShardFolder, found: Sequence[_Entry]) -> dict[str, Decision]:
        """What people decided, by the entries' keys; counted in `review`."""
        decisions = Decisions(folder)
        if not decisions:
            self.review.update(open=len(found))
            return {}
        names = [name for number in folder.numbers for name in names_of(folder, number).values()]
        self.review.update(asdict(decisions.count(names)))
        decided = ((name.place, decisions.of(name)) for name in names)
        return {place: decision for place, decision in decided if decision}

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, i: int) -> LatentPair:
        entry = self._entries[i]
        wanted = {name: entry.members[name] for name in ("winner.npy", "loser.npy", "json")}
        fields = read_fields(entry.tar, wanted)
        row = row_of(entry.tar, fields["json"], PairJson)
        text = row.prompt.text
        return LatentPair(
            key=entry.key,
            text=text,
            tag=row.prompt.tag,
            winner=from_npy(fields["winner.npy"]),
            loser=from_npy(fields["loser.npy"]),
            conditioning=conditioning_of(entry.tar.with_suffix(".safetensors"), *row.prompt.parts),
            margin=row.margin,
        )

    def fingerprint(self) -> str:
        """sha256 over the indexes, which hold the hashes of the tars, and over flips and drops."""
        return self._fingerprint


def open_folders(folder: str | Path | Sequence[str | Path]) -> list[ShardFolder]:
    """Raises ValueError when one is no folder of sipo-data, or has no latents yet."""
    paths = [folder] if isinstance(folder, str | Path) else list(folder)
    if not paths:
        raise ValueError("folder is an empty list; give at least one shard folder")
    folders = [open_shards(path) for path in paths]
    for opened in folders:
        require_latents(opened)
    return folders


def _entries(folder: ShardFolder, number: int) -> Iterator[_Entry]:
    index = folder.pairs(number)
    tar = folder.tar(PAIRS, number)
    if index.paired_by != folder.config.pairing_digest:
        raise ValueError(f"{tar} was paired otherwise than its folder; run sipo-data pair on it")
    require_embeddings(folder, number)
    for key, sample in index.samples.items():
        yield _Entry(pair_key(index, key), tar, sample.members)


def _flipped(entry: _Entry) -> _Entry:
    """Winner and loser changed places: another content, so another key."""
    swapped = {name: entry.members[_OTHER.get(name, name)] for name in entry.members}
    return replace(entry, key=f"{entry.key}-flipped", members=swapped)


def common_meta(folders: Sequence[ShardFolder]) -> dict[str, object]:
    """The first folder's backbone, sampler, judge, versions; all must be of one family.

    `sampled_by`: the weights' hashes of all policies that sampled them; who made imported pairs
    is not known.
    """
    configs = [folder.config for folder in folders]
    families = sorted({str(config.backbone.family) for config in configs})
    if len(families) > 1:
        raise ValueError(f"the folders mix backbone families ({', '.join(families)}); give one")
    row = configs[0].as_read()
    wanted = ("backbone", "sampler", "dtype", "judge", "versions")
    hashes = {
        "unknown" if config.is_import else str(config.backbone.weights_sha256) for config in configs
    }
    meta = {name: row[name] for name in wanted}
    return {**meta, "quantize": configs[0].quantize, "sampled_by": sorted(hashes)}
