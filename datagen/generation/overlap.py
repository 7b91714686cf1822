"""A card waits for nothing that comes after it.

Batches are sampled in the main thread. A second one judges them, a few more encode their pictures,
a last one writes the shards; batches keep their order. On a CPU several processes do all but
the writing (sipo.common.cpu_workers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from sipo.common.cpu_workers import spread
from sipo.common.threads import ENCODERS, beside, stream_beside
from sipo.datagen.generation.build import Job
from sipo.datagen.generation.types import Batch, Candidate, Judged, Kept, Request

Write = Callable[[Iterator[Batch[Kept]]], None]


def overlapped(job: Job, asked: Iterable[Batch[Request]], write: Write) -> None:
    """Sample, judge and encode what is asked; `write` has it in order. Raises what they do."""
    if job.workers > 1:
        with spread(job.make, job.workers) as mapped:
            write(mapped(asked))
        return

    def write_ready(ready: Iterator[_Ready]) -> None:
        write(_encoded(ready))

    with (
        beside(write_ready) as to_write,
        beside(_Judging(job, to_write)) as to_judge,
    ):
        for batch in asked:
            to_judge(job.sample(batch))


@dataclass(frozen=True)
class _Ready:
    """A batch with its verdicts, whose pictures are being encoded."""

    batch: Batch[Judged]
    files: Sequence[Future[dict[str, bytes]]]


class _Judging:
    """Pictures are encoded while they are judged."""

    def __init__(self, job: Job, to_write: Callable[[_Ready], None]) -> None:
        self._job, self._to_write, self._stream = job, to_write, stream_beside()

    def __call__(self, sampled: Iterator[Batch[Candidate]]) -> None:
        job = self._job
        with self._stream, ThreadPoolExecutor(ENCODERS, "encode") as pool:
            for batch in sampled:
                files = [pool.submit(job.files, candidate) for candidate in batch.items]
                judged = Batch(batch.shard, job.verdicts(batch), batch.last)
                self._to_write(_Ready(judged, files))


def _encoded(ready: Iterator[_Ready]) -> Iterator[Batch[Kept]]:
    for one in ready:
        files = (future.result() for future in one.files)
        kept = [Kept(*both) for both in zip(one.batch.items, files, strict=True)]
        yield Batch(one.batch.shard, kept, one.batch.last)
