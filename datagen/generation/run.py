"""`generate` over a whole folder. A shard that is done and still holds is left alone; any other is
made again, with the same bytes.

Any number of processes may work on one folder, given the same command: a shard is leased while it
is made, and what a process leaves undone when it dies another makes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

from sipo.backbones.base import Backbone
from sipo.common.files.leases import Leases
from sipo.common.files.url_leases import store_of
from sipo.common.shared_work import Alone, Shared, Work
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
from sipo.datagen.generation.pairs import (
    complete,
    embed_if_missing,
    is_whole,
    pair_if_stale,
    sweep_shard,
)
from sipo.datagen.generation.progress import candidates_bar
from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.generation.types import Batch, Kept, Right
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.folder_guard import claim_folder, one_of_the_makers
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.local_backbones import remember
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt

Make = Callable[[ShardFolder, Shared, Track], None]
"""Makes what can be claimed now of a folder's shards."""


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
    models = job.backbone.name, job.weights
    return make_folder(out, job.config, job.prompts, models, partial(make_shards, job), progress)


def make_folder(
    out: Path,
    config: FolderConfig,
    prompts: Sequence[Prompt],
    models: tuple[str, Path | None],
    make: Make,
    progress: bool = True,
) -> FolderSummary:
    """The same by any `make`, which is asked until nothing is left. `models` are backbone and
    weights as they were typed."""
    with one_of_the_makers(out):
        leases = Leases(store_of(out))
        with leases.beating():
            leases.wait_for("folder", every_s=0.05)
            folder = claim_folder(out, config, prompts_bytes(prompts))
            remember(out, *models)
            leases.release("folder")
            tidy = partial(sweep_shard, folder)
            work = Shared(folder.numbers, partial(is_whole, folder), leases, "shard", tidy)
            with candidates_bar(folder, sorted(work.left), progress) as track:
                work.until_done(lambda: make(folder, work, track))
            return finish(folder)


def make_shard(job: Job, folder: ShardFolder, number: int) -> None:
    """One shard, whatever it lacks: a function of the folder's configuration and its number."""
    make_shards(job, folder, Alone([number]), lambda _: None)


def make_shards(job: Job, folder: ShardFolder, work: Work, track: Track) -> None:
    """Make what is claimed, each shard overlapping with the next."""
    size = job.config.at_a_time  # the folder's may have been another
    seen: dict[int, list[Right]] = defaultdict(list)

    def to_sample() -> Iterator[int]:
        for number in work.claimed():
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
