"""A second folder of the same candidates: what `sipo-data judge --out` and `pair --out` begin with.

Candidates are the same files on the disk where it can link them, and copies elsewhere. Nothing
writes into a shard that is there, so the first folder stays as it is.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from sipo.common.files.urls import UrlPath
from sipo.common.files.writing import atomic
from sipo.datagen.storage.decisions import REVIEW, reviewed
from sipo.datagen.storage.folder_guard import claim_copy
from sipo.datagen.storage.local_backbones import FILE as SOURCES
from sipo.datagen.storage.shard_folder import PROMPTS, ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES

_TEXTS = (PROMPTS, "dropped.jsonl", SOURCES)


def begin_copy(source: ShardFolder, into: ShardFolder) -> None:
    """Claim `into.path` and bring what belongs to no shard; people's decisions among it."""
    claim_copy(into)
    for name in _TEXTS:
        if (source.path / name).is_file():
            copy_file(source.path / name, into.path / name)
    if (lines := reviewed(source)) and not (into.path / REVIEW).is_file():
        with atomic(into.path / REVIEW) as file:
            file.write(lines)


def bring_candidates(source: ShardFolder, into: ShardFolder, number: int) -> None:
    """A shard with its verdicts. The index comes last: it says that the shard is there."""
    tar, index = (
        [folder.tar(CANDIDATES, number).with_suffix(suffix) for folder in (source, into)]
        for suffix in (".tar", ".json")
    )
    link_file(*tar)
    copy_file(*index)


def bring_embeddings(source: ShardFolder, into: ShardFolder, number: int) -> None:
    if source.config.encoded:
        link_file(source.embeddings(number), into.embeddings(number))


def link_file(source: Path, target: Path) -> None:
    """The same file under a second name, or a copy where that cannot be; whole or not there."""
    if isinstance(source, UrlPath) or isinstance(target, UrlPath):
        copy_file(source, target)
        return
    with suppress(OSError):
        if target.samefile(source):
            return
    temporary = target.with_name(f".{target.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # another disk, or a file system without links
        copy_file(source, target)
    else:
        temporary.replace(target)


def copy_file(source: Path, target: Path) -> None:
    if isinstance(source, UrlPath) and isinstance(target, UrlPath):
        source.copy_to(target)
        return
    with source.open("rb") as read, atomic(target) as written:
        shutil.copyfileobj(read, written)
