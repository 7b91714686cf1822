"""The candidates of one shard: what they are asked for, written, read, and judged again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from itertools import chain
from typing import Literal

import torch

from sipo.common.files.urls import near
from sipo.common.ordered_threads import in_order, threads_for
from sipo.common.pictures.picture import Suffix, from_bytes, to_bytes
from sipo.datagen.generation import sampling
from sipo.datagen.generation.types import (
    Batch,
    Candidate,
    Judged,
    Kept,
    Request,
    number_of,
    requests,
    requests_for,
)
from sipo.datagen.storage.latent_files import from_npy, to_npy
from sipo.datagen.storage.pair_pictures import picture_in
from sipo.datagen.storage.sample_json import SampledJson, candidate_rows, read_row
from sipo.datagen.storage.shard_folder import ForeignShardError, ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import TarSample, read_fields, scan, write_shard
from sipo.feedback.judge import Judge
from sipo.feedback.rule.verdict import Verdict

Track = Callable[[Verdict], None]
"""Told of every candidate that is done."""

State = Literal["done", "judge", "sample"]
"""What is left to do for the candidates of a shard."""


def state_of(folder: ShardFolder, number: int) -> State:
    """What the candidates of a shard lack. Raises ForeignShardError for another command's shard."""
    try:
        index = folder.candidates(number)
    except ForeignShardError:
        raise
    except ValueError:
        return "sample"
    return "done" if index.judged_by == folder.config.judge_digest else "judge"


def requests_of(folder: ShardFolder, number: int) -> Iterator[Request]:
    """What a shard's candidates are asked for, where every prompt has as many."""
    config = folder.part_of(number).config
    return requests(folder.prompts_of(number), config.candidates, config.seed)


def _requests_with(folder: ShardFolder, number: int, keys: Iterable[str]) -> Iterator[Request]:
    """What the candidates with these keys were asked for; of --allocate they say how many it is."""
    config = folder.part_of(number).config
    if not config.allocate:
        yield from requests_of(folder, number)
        return
    sizes = Counter(number_of(key) // config.keys_per_prompt for key in keys)
    for at, prompt in folder.prompts_of(number):
        indices = range(max(sizes[at], config.first_candidates))
        yield from requests_for(at, prompt, indices, config.seed, config.keys_per_prompt)


def batches_of(folder: ShardFolder, number: int, size: int) -> list[Batch[Request]]:
    """The work of a shard. Its batches end with it, so a resumed run has the same."""
    parts = list(sampling.batches(requests_of(folder, number), size))
    return [Batch(number, part, last=part is parts[-1]) for part in parts]


def by_shard(made: Iterable[Batch[Kept]]) -> Iterator[tuple[int, Iterator[Kept]]]:
    """(shard, its candidates) from batches that come in order; nothing is held back."""
    stream = iter(made)
    for first in stream:
        yield first.shard, _to_the_last(first, stream)


def _to_the_last(first: Batch[Kept], following: Iterator[Batch[Kept]]) -> Iterator[Kept]:
    for batch in chain([first], following):
        yield from batch.items
        if batch.last:
            return


def files_of(candidate: Candidate, suffix: Suffix) -> dict[str, bytes]:
    """Picture and latents as a shard keeps them."""
    return {suffix: to_bytes(candidate.picture), "latents.npy": to_npy(candidate.latents)}


def write_sampled(
    folder: ShardFolder, number: int, candidates: Iterable[Kept], track: Track
) -> None:
    """Make a shard of candidates that were sampled and judged for it."""

    def samples() -> Iterator[TarSample]:
        for kept in candidates:
            yield candidate_sample(kept.judged, kept.files)
            track(kept.judged.verdict)

    write_candidates(folder, number, samples())


def judged_of(folder: ShardFolder, number: int) -> Iterator[Judged]:
    """The candidates of a shard with their verdicts, in order."""
    for key, row in candidate_rows(folder, number):
        yield Judged.of(row, key)


def verdicts_of(
    folder: ShardFolder, number: int, judge: Judge, track: Track, size: int
) -> Iterator[Verdict]:
    """Of the kept candidates of a shard, in order, `size` at a time."""
    for candidate in sampling.judge(read_candidates(folder, number), judge, size):
        verdict = candidate.judged.verdict
        track(verdict)
        yield verdict


def write_judged(
    folder: ShardFolder, number: int, verdicts: Iterable[Verdict], into: ShardFolder
) -> None:
    """The kept candidates of a shard with these verdicts, pictures and latents byte for byte."""
    kept = zip(kept_files(folder, number), verdicts, strict=True)
    samples = (candidate_sample(Judged(asked, verdict), files) for (asked, files), verdict in kept)
    write_candidates(into, number, samples)


def read_candidates(folder: ShardFolder, number: int) -> Iterator[Candidate]:
    """The kept candidates, some of them read ahead. Those of an import that was not encoded have no
    latents: zero of them.

    Raises ValueError as `kept_files`.
    """
    config = folder.config

    def read(kept: tuple[Request, dict[str, bytes]]) -> Candidate:
        request, files = kept
        try:
            latents = from_npy(files["latents.npy"]) if config.encoded else torch.empty(0)
            suffix = picture_in(config, files) or config.suffix
            picture = from_bytes(files[suffix], suffix)
        except Exception as error:  # whatever the decoders raise for bytes that are damaged
            tar = folder.tar(CANDIDATES, number)
            raise ValueError(
                f"{tar}: {request.key} cannot be read ({type(error).__name__}); see sipo-data "
                "validate"
            ) from None
        return Candidate(request, picture, latents)

    kept = kept_files(folder, number)
    with closing(in_order(read, kept, threads_for(), config.at_a_time)) as candidates:
        yield from candidates


def kept_files(folder: ShardFolder, number: int) -> Iterator[tuple[Request, dict[str, bytes]]]:
    """Picture and latents, by a scan of the tar: judging again may have left it without index.

    Raises ValueError when the tar is missing or holds other candidates than this folder asked for.
    """
    path, config = folder.tar(CANDIDATES, number), folder.config
    if not path.is_file():
        raise ValueError(f"{path} is missing; run the same sipo-data generate again")
    with near(path):
        scanned = scan(path)
        for request in _requests_with(folder, number, scanned):
            key, members = request.key, scanned.get(request.key, {})
            if members.keys() != config.candidate_fields | {picture_in(config, members)}:
                raise ValueError(f"{path} lacks {key}; run the same sipo-data generate again")
            if read_row(path, members, SampledJson).seed != request.seed:
                raise ValueError(f"{path} is foreign: {key} has another seed; take it out")
            files = read_fields(path, {name: members[name] for name in members if name != "json"})
            yield request, files


def candidate_sample(judged: Judged, files: Mapping[str, bytes]) -> TarSample:
    """`files` are the picture and, where there are any, the latents."""
    row = judged.row()
    return TarSample(judged.request.key, {**files, "json": row.to_bytes()}, row.facts())


def write_candidates(
    folder: ShardFolder,
    number: int,
    samples: Iterable[TarSample],
    more: Mapping[str, object] | None = None,
) -> None:
    """`more` is added to the index."""
    facts = folder.made(CANDIDATES, number) | {"judged_by": folder.config.judge_digest}
    write_shard(folder.tar(CANDIDATES, number), samples, lambda: {**facts, **(more or {})})
