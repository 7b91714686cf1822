"""Folders of one configuration as one: `sipo-data merge`.

Tars and embeddings are the same files under new numbers, indexes say the new number; `config.json`
keeps under "merged" what each folder said for itself (seed, prompts, shards). A shard goes on to
number prompts, and to name candidates, as where it was made, so its bytes, the keys of its pairs
and what people decided of them hold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

from sipo.common.files.locks import is_written_to
from sipo.common.files.places import require_place
from sipo.common.files.writing import atomic, write_json
from sipo.common.resume_guard import first_difference
from sipo.datagen.generation.pairs import is_whole
from sipo.datagen.storage.copies import copy_file, link_file
from sipo.datagen.storage.decisions import REVIEW, reviewed
from sipo.datagen.storage.folder_config import FolderConfig, PartConfig
from sipo.datagen.storage.folder_guard import claim_copy, only_writer
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.local_backbones import FILE as SOURCES
from sipo.datagen.storage.shard_folder import PROMPTS, ShardFolder, open_folder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS
from sipo.datagen.storage.untrusted_json import read_object

_OWN = {*PartConfig.model_fields, "merged"}
"""In which folders that are merged may differ."""


def merge_folders(paths: Sequence[str | Path], out: Path) -> FolderSummary:
    """Into the new folder `out`; continues itself.

    Raises ValueError for folders that are not whole, that differ in more than seed and prompts, or
    of which two have pictures in common.
    """
    if len(paths) < 2:
        raise ValueError("one folder is nothing to merge; give two or more")
    folders = [open_folder(path) for path in paths]
    require_place(out)
    for folder in folders:
        _require_whole(folder)
    _require_alike(folders)
    _require_apart(folders)
    prompts = b"".join((folder.path / PROMPTS).read_bytes() for folder in folders)
    into = ShardFolder(out, _merged(folders, prompts))
    if any(out.resolve() == folder.path.resolve() for folder in folders):
        raise ValueError(f"--out {str(out)!r} is one of the folders; give a new one")
    with only_writer(out):
        claim_copy(into)
        with atomic(out / PROMPTS) as file:
            file.write(prompts)
        _bring_texts(folders, out)
        for number, (folder, its_number) in enumerate(_shards(folders)):
            _bring_shard(folder, its_number, into, number)
        return finish(into)


def _shards(folders: Sequence[ShardFolder]) -> Iterator[tuple[ShardFolder, int]]:
    return ((folder, number) for folder in folders for number in folder.numbers)


def _require_whole(folder: ShardFolder) -> None:
    path = folder.path
    if folder.config.is_import:
        raise ValueError(
            f"{path} was imported, and merge takes what was sampled; give both folders to --data"
        )
    if is_written_to(path):
        raise ValueError(f"sipo-data is writing to {path}; wait for it to end")
    for number in folder.numbers:
        if not is_whole(folder, number):
            raise ValueError(
                f"{path}: shard {number} is not whole; run the same sipo-data generate again"
            )


def _require_alike(folders: Sequence[ShardFolder]) -> None:
    first, *others = folders
    kept = _alike(first)
    for other in others:
        if difference := first_difference(kept, _alike(other)):
            raise ValueError(
                f"{first.path} and {other.path} differ in {difference.name}: {difference.before} "
                f"and {difference.now}; merge takes folders that differ in seed and prompts alone"
            )


def _alike(folder: ShardFolder) -> dict[str, object]:
    return {name: value for name, value in folder.config.as_read().items() if name not in _OWN}


def _require_apart(folders: Sequence[ShardFolder]) -> None:
    """A picture is a function of prompt and seed, so the same two are the same picture."""
    for one, other in combinations(folders, 2):
        if shared := _pictures(one) & _pictures(other):
            seed, text = min(shared)
            raise ValueError(
                f"{one.path} and {other.path} have the same pictures of {len(shared)} prompts, as "
                f"of {text!r}, by the same seed {seed}; generate one of them with another --seed, "
                "or without those prompts"
            )


def _pictures(folder: ShardFolder) -> set[tuple[int, str]]:
    return {
        (folder.part_of(number).config.seed, prompt.key)
        for number in folder.numbers
        for _, prompt in folder.prompts_of(number)
    }


def _merged(folders: Sequence[ShardFolder], prompts: bytes) -> FolderConfig:
    """One that was merged before counts as what it was merged of."""
    parts = [part.as_read() for folder in folders for part in folder.config.parts]
    originals = [part.get("original") for part in parts]
    configs = [folder.config for folder in folders]
    of_all: dict[str, object] = {
        "seed": configs[0].seed,
        "batch_size": configs[0].batch_size,
        "prompts": {
            "count": sum(config.prompts.count or 0 for config in configs),
            "sha256": hashlib.sha256(prompts).hexdigest(),
            "repeated": sum(config.prompts.repeated for config in configs),
        },
        "shards": sum(config.shards for config in configs),
        "merged": [{name: part[name] for name in part if name in _OWN} for part in parts],
    }
    if originals[0] is not None and all(each == originals[0] for each in originals):
        of_all["original"] = originals[0]
    return FolderConfig.model_validate({**_alike(folders[0]), **of_all})


def _bring_texts(folders: Sequence[ShardFolder], out: Path) -> None:
    """What people decided, and where a local model lay."""
    lines = b"".join(map(reviewed, folders))
    if lines and not (out / REVIEW).is_file():
        with atomic(out / REVIEW) as file:
            file.write(lines)
    for folder in folders:
        if (folder.path / SOURCES).is_file():
            copy_file(folder.path / SOURCES, out / SOURCES)
            return


def _bring_shard(folder: ShardFolder, its_number: int, into: ShardFolder, number: int) -> None:
    """The index comes last: it says that the tar is there."""
    link_file(folder.embeddings(its_number), into.embeddings(number))
    for kind in (CANDIDATES, PAIRS):
        its_tar, tar = folder.tar(kind, its_number), into.tar(kind, number)
        index = {**(read_object(its_tar.with_suffix(".json")) or {}), "shard": number}
        if not _is_there(tar, index, its_tar):
            link_file(its_tar, tar)
            write_json(tar.with_suffix(".json"), index)


def _is_there(tar: Path, index: dict[str, object], its_tar: Path) -> bool:
    path = tar.with_suffix(".json")
    if not (tar.is_file() and path.is_file()):
        return False
    return read_object(path) == index and tar.stat().st_size == its_tar.stat().st_size
