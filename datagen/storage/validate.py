"""Everything that can be wrong with a folder of shards, each as a sentence that names the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from sipo.common.files.strict_json import load_json
from sipo.common.files.urls import near
from sipo.datagen.storage.decisions import Decisions
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.latent_files import from_npy
from sipo.datagen.storage.pair_pictures import ROLES, pair_pictures, picture_in
from sipo.datagen.storage.sample_json import CandidateJson, PairJson, read_row
from sipo.datagen.storage.shard_folder import PROMPTS, SHARD_NAME, ShardFolder, open_folder
from sipo.datagen.storage.shard_index import (
    CANDIDATES,
    PAIRS,
    CandidateFacts,
    CandidateIndex,
    Kind,
    PairFacts,
    PairIndex,
)
from sipo.datagen.storage.shard_tar import Members, read_fields, scan


def find_damage(path: str | Path) -> Iterator[str]:
    """Reads every byte. Raises ValueError only when `path` is no shard folder at all."""
    folder = open_folder(path)
    yield from _text_damage(folder)
    for number in folder.numbers:
        yield from _shard_damage(folder, CANDIDATES, number)
        yield from _shard_damage(folder, PAIRS, number)
        yield from _stale(folder, number)
        if folder.config.encoded and not folder.has_embeddings(number):
            yield f"{folder.embeddings(number).name} is missing, truncated or foreign"
    yield from _foreign_files(folder)


def _text_damage(folder: ShardFolder) -> Iterator[str]:
    """Of what belongs to no shard: the prompts, and what people decided."""
    prompts = folder.path / PROMPTS
    try:
        if hashlib.sha256(prompts.read_bytes()).hexdigest() != folder.config.prompts.sha256:
            yield f"{prompts} was changed; take it from a copy, or run the same command again"
    except FileNotFoundError:
        yield f"{prompts} is missing; run the same command again"
    try:
        Decisions(folder)
    except ValueError as error:
        yield str(error)


def _shard_damage(folder: ShardFolder, kind: Kind, number: int) -> Iterator[str]:
    path = folder.tar(kind, number)
    try:
        index = folder.candidates(number) if kind == CANDIDATES else folder.pairs(number)
    except ValueError as error:
        yield str(error)
        return
    with near(path):
        yield from _tar_damage(folder.config, path, index)


def _tar_damage(
    config: FolderConfig, path: Path, index: CandidateIndex | PairIndex
) -> Iterator[str]:
    try:
        members = scan(path)
    except ValueError as error:
        yield str(error)
        return
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != index.tar.sha256:
        yield f"{path} was changed: its sha256 is not its index's; delete it and generate again"
    if members.keys() != index.samples.keys():
        yield f"{path} holds other samples than its index; delete it and generate again"
    for key, fields in members.items():
        problem = _sample_damage(path, fields, _fields(index.kind, config, fields))
        facts = index.samples.get(key)
        if problem is None and not (facts and _agrees(facts, path, fields)):
            problem = "is not what its index says"
        if problem:
            yield f"{path}: {key} {problem}; delete the shard and generate again"


def _fields(kind: Kind, config: FolderConfig, members: Members) -> set[str]:
    """What a sample of a shard consists of; pairs of an import need no pictures of their own."""
    if kind == CANDIDATES:
        return config.candidate_fields | {picture_in(config, members) or config.suffix}
    wanted = {"json"}
    for role in ROLES:
        wanted |= {f"{role}.npy"} if config.encoded else set()
        wanted |= set() if config.is_import else {f"{role}.{config.suffix}"}
    return wanted


def _sample_damage(path: Path, members: Members, wanted: set[str]) -> str | None:
    if missing := wanted - members.keys():
        return f"is incomplete, it lacks {', '.join(sorted(missing))}"
    fields = read_fields(path, members)
    try:
        load_json(fields["json"])
        arrays = [from_npy(fields[name]) for name in fields if name.endswith("npy")]
    except Exception as error:  # whatever the decoders raise for bytes that are damaged
        return f"cannot be read ({type(error).__name__}: {error})"
    if any(array.ndim not in (3, 4) or array.dtype.is_complex for array in arrays):
        return "has latents of a strange shape"
    return None


def _agrees(facts: CandidateFacts | PairFacts, path: Path, members: Members) -> bool:
    """Whether an index says of a sample what the tar has: where it lies, and its facts."""
    try:
        if isinstance(facts, CandidateFacts):
            found = read_row(path, members, CandidateJson).facts()
        else:
            found = read_row(path, members, PairJson).facts()
    except ValueError:
        return False
    indexed = {name: value for name, value in facts.as_read().items() if name in found}
    return facts.members == members and indexed.items() <= found.items()


def _stale(folder: ShardFolder, number: int) -> Iterator[str]:
    """Pairs without pictures, and shards that a stopped `judge` or `pair` left behind."""
    try:
        candidates, pairs = folder.candidates(number), folder.pairs(number)
    except ValueError:
        return
    if candidates.judged_by != folder.config.judge_digest:
        yield f"{folder.tar(CANDIDATES, number)} has another judge's verdicts; run sipo-data judge"
    if not folder.pairs_are_of(pairs, candidates):
        yield f"{folder.tar(PAIRS, number)} is older than its candidates; run sipo-data pair"
    try:
        pair_pictures(folder, number)
    except ValueError as error:
        yield str(error)


def _foreign_files(folder: ShardFolder) -> Iterator[str]:
    for path in sorted(folder.path.glob("*.*")):
        if path.suffix not in (".tar", ".safetensors") or path.name.startswith("."):
            continue
        match = SHARD_NAME.fullmatch(path.name)
        if match is None or int(path.stem.split("-")[1]) >= folder.config.shards:
            yield f"{path} is foreign: no shard of this folder; take it out"
