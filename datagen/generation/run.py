"""`generate` over a whole folder. A shard that is done and still holds is left alone; any other is
made again, with the same bytes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from sipo.backbones.base import Backbone
from sipo.datagen.generation.allocation import allocated_batches, in_order_of_prompts
from sipo.datagen.generation.build import Job, prepare
from sipo.datagen.generation.candidates import (
    batches_of,
    by_shard,
    state_of,
    verdicts_of,
    write_judged,
    write_sampled,
)
from sipo.datagen.generation.overlap import overlapped
from sipo.datagen.generation.pairs import complete, embed_if_missing, pair_if_stale
from sipo.datagen.generation.progress import candidates_bar
from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.generation.types import Batch, Kept, Right
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_guard import claim_folder, only_writer
from sipo.datagen.storage.folder_summary import FolderSummary, finish
from sipo.datagen.storage.local_backbones import remember
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt


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
    with only_writer(out):
        folder = claim_folder(out, job.config, prompts_bytes(job.prompts))
        remember(out, job.backbone.name, job.weights)
        size = job.config.at_a_time  # the folder's may have been another
        states = {number: state_of(folder, number) for number in folder.numbers}
        todo = [number for number, state in states.items() if state != "done"]
        unmade = [number for number, state in states.items() if state == "sample"]
        seen: dict[int, list[Right]] = defaultdict(list)
        with candidates_bar(folder, todo, progress) as track:

            def begun() -> Iterator[int]:
                for number in unmade:
                    embed_if_missing(folder, number, job.backbone)  # where the sampler is, too
                    yield number

            def write(made: Iterator[Batch[Kept]]) -> None:
                for number, candidates in by_shard(made):
                    write_sampled(folder, number, candidates, track)
                    pair_if_stale(folder, number)

            if job.config.allocate:
                asked = allocated_batches(folder, begun(), size, seen)
                overlapped(job, asked, lambda made: write(in_order_of_prompts(made)), seen)
            else:
                whole = (batches_of(folder, number, size) for number in begun())
                overlapped(job, chain.from_iterable(whole), write)
            for number in sorted(states.keys() - unmade):
                if states[number] == "judge":
                    verdicts = verdicts_of(folder, number, job.judge, track, size)
                    write_judged(folder, number, verdicts, folder)
                complete(folder, number, job.backbone)
        return finish(folder)
