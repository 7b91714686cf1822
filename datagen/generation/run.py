"""`generate` over a whole folder. A shard that is done and still holds is left alone; any other is
made again, with the same bytes.

Any number of processes may work on one folder, given the same command: a shard is leased while it
is made, and what a process leaves undone when it dies another makes.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from sipo.backbones.base import Backbone
from sipo.common.files.leases import FileStore, Leases
from sipo.common.files.writing import sweep
from sipo.common.processes import this_process
from sipo.datagen.generation.allocation import allocated_batches, in_order_of_prompts
from sipo.datagen.generation.build import Job, prepare
from sipo.datagen.generation.candidates import (
    Track,
    batches_of,
    by_shard,
    state_of,
    verdicts_of,
    write_judged,
    write_sampled,
)
from sipo.datagen.generation.overlap import overlapped
from sipo.datagen.generation.pairs import complete, embed_if_missing, is_whole, pair_if_stale
from sipo.datagen.generation.progress import candidates_bar
from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.generation.types import Batch, Kept, Right
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_guard import claim_folder, one_of_the_makers
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.local_backbones import remember
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt

POLL_S = 1.0
"""Between two looks at shards that others are making."""


def generate(
    settings: GenerateSettings,
    prompts: Sequence[Prompt] | None = None,
    backbone: Backbone | None = None,
    judge: Judge | None = None,
    progress: bool = True,
) -> FolderSummary:
    """Sample, judge, pair and shard into `settings.out`.

    `prompts`, `backbone` and `judge` stand in for those the settings name.
    """
    return run(prepare(settings, prompts, backbone, judge), settings.out, progress)


def run(job: Job, out: Path, progress: bool = True) -> FolderSummary:
    """Returns when the folder is whole, whoever made it."""
    with one_of_the_makers(out):
        leases = Leases(FileStore(out))
        with leases.beating():
            leases.wait_for("folder", POLL_S)
            folder = claim_folder(out, job.config, prompts_bytes(job.prompts))
            remember(out, job.backbone.name, job.weights)
            leases.release("folder")
            left = Undone(folder, leases)
            with candidates_bar(folder, sorted(left.numbers), progress) as track:
                while left.numbers:
                    if not make_shards(job, folder, left, track):
                        time.sleep(POLL_S)
            return finish(folder)


def make_shard(job: Job, folder: ShardFolder, number: int) -> None:
    """One shard, whatever it lacks: a function of the folder's configuration and its number."""
    make_shards(job, folder, Alone([number]), lambda _: None)


class Work:
    """Which shards to make: `claimed` gives them one by one, `made` is told of each."""

    def claimed(self) -> Iterator[int]:
        raise NotImplementedError

    def made(self, number: int) -> None:
        raise NotImplementedError


@dataclass
class Alone(Work):
    """These, which nobody else makes."""

    numbers: Iterable[int]

    def claimed(self) -> Iterator[int]:
        return iter(self.numbers)

    def made(self, number: int) -> None:
        pass


@dataclass
class Undone(Work):
    """What is left of a folder, shared out by leases. A process begins with its own part of the
    folder and goes on with what others have left."""

    folder: ShardFolder
    leases: Leases
    numbers: set[int] = field(init=False)

    def __post_init__(self) -> None:
        self.numbers = {n for n in self.folder.numbers if not is_whole(self.folder, n)}

    def claimed(self) -> Iterator[int]:
        """Those that nobody has now, each leased; what others have made by now is left out."""
        for number in this_process().first_its_own(sorted(self.numbers)):
            if not self.leases.claim(name_of(number)):
                continue
            if is_whole(self.folder, number):
                self.made(number)
            else:
                sweep(self.folder.path, f"*-{number:06d}.*")
                yield number

    def made(self, number: int) -> None:
        self.leases.release(name_of(number))
        self.numbers.discard(number)


def name_of(number: int) -> str:
    """Of a shard's lease."""
    return f"shard-{number:06d}"


def make_shards(job: Job, folder: ShardFolder, work: Work, track: Track) -> int:
    """Make what is claimed, each shard overlapping with the next; returns how many there were."""
    size = job.config.at_a_time  # the folder's may have been another
    seen: dict[int, list[Right]] = defaultdict(list)
    count = 0

    def to_sample() -> Iterator[int]:
        nonlocal count
        for number in work.claimed():
            count += 1
            state = state_of(folder, number)
            if state == "sample":
                embed_if_missing(folder, number, job.backbone)  # where the sampler is, too
                yield number
                continue
            if state == "judge":
                verdicts = verdicts_of(folder, number, job.judge, track, size)
                write_judged(folder, number, verdicts, folder)
            complete(folder, number, job.backbone)
            work.made(number)

    def write(made: Iterator[Batch[Kept]]) -> None:
        for number, candidates in by_shard(made):
            write_sampled(folder, number, candidates, track)
            pair_if_stale(folder, number)
            work.made(number)

    if job.config.allocate:
        asked = allocated_batches(folder, to_sample(), size, seen)
        overlapped(job, asked, lambda made: write(in_order_of_prompts(made)), seen)
    else:
        whole = (batches_of(folder, number, size) for number in to_sample())
        overlapped(job, chain.from_iterable(whole), write)
    return count
