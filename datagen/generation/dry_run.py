"""`--dry-run`: what a command would do and how long, from a few batches sampled and judged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from sipo.common.amounts import duration
from sipo.common.cpu_workers import spread
from sipo.datagen.generation import sampling
from sipo.datagen.generation.build import Job
from sipo.datagen.generation.types import Batch, Kept, requests
from sipo.datagen.storage.folder_config import FolderConfig


@dataclass(frozen=True)
class Measured:
    """Of a candidate, sampled, judged and encoded: mean seconds and bytes of so many."""

    candidates: int
    seconds: float
    bytes: float
    latents: float  # of these bytes


def measured(job: Job, candidates: int | None = None) -> Measured:
    """On so many, or on a batch each worker. Writes nothing; shards that are there already are not
    looked at."""
    config = job.config
    asked = requests(enumerate(job.prompts), config.first_candidates, config.seed)
    parts = sampling.batches(islice(asked, candidates), config.at_a_time)
    batches = (Batch(0, part, last=False) for part in islice(parts, job.workers))
    started = time.perf_counter()
    with spread(job.make, job.workers) as made:
        kept = list(chain.from_iterable(batch.items for batch in made(batches)))
    seconds = (time.perf_counter() - started) / len(kept)
    latents = sum(len(one.files["latents.npy"]) for one in kept)
    return Measured(len(kept), seconds, sum(map(_bytes, kept)) / len(kept), latents / len(kept))


def plan_lines(job: Job, out: Path) -> list[str]:
    config, sampler = job.config, job.sampler
    total = len(job.prompts) * config.candidates
    one = measured(job)
    seconds, bytes_each = one.seconds, one.bytes
    most_pairs = len(job.prompts) * config.max_pairs_per_prompt
    least, most = total * bytes_each, (total + 2 * most_pairs) * bytes_each
    return [
        f"{config.backbone.name} in {config.dtype}, {sampler.steps} steps, "
        f"guidance {sampler.guidance:g}, "
        f"judged by {config.judge.id}, into {out}",
        f"{len(job.prompts)} prompts x {config.candidates} = {total} candidates "
        f"in {config.shards} shards, at most {most_pairs} pairs",
        *_allocation_lines(config),
        f"about {duration(seconds * total)} ({1 / seconds:.1f} candidates/s, "
        f"measured on {one.candidates})",
        f"{least / 1e6:.1f} to {most / 1e6:.1f} MB, text embeddings not counted",
    ]


def _allocation_lines(config: FolderConfig) -> list[str]:
    if not config.allocate:
        return []
    first = config.first_candidates
    return [
        f"{first} of each prompt first; of a shard's other {config.candidates - first} a prompt "
        "more for prompts with right and wrong ones, none for those always or never right"
    ]


def _bytes(candidate: Kept) -> int:
    """Picture and latents, with the two tar headers."""
    return sum(map(len, candidate.files.values())) + 1024
