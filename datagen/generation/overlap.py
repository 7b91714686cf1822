"""A card waits for nothing that comes after it.

Batches are sampled in the main thread. A second one judges them, a few more encode their pictures,
a last one writes the shards; batches keep their order. On a CPU several processes do all but
the writing (sipo.common.cpu_workers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue

from sipo.common.cpu_workers import spread
from sipo.common.threads import ENCODERS, beside, stream_beside
from sipo.datagen.generation.build import Job
from sipo.datagen.generation.types import Batch, Candidate, Judged, Kept, Request, Right

Write = Callable[[Iterator[Batch[Kept]]], None]
Seen = Mapping[int, list[Right]]
"""What was judged, by shard."""


def overlapped(
    job: Job,
    asked: Iterable[Batch[Request] | None],
    write: Write,
    seen: Seen | None = None,
) -> None:
    """Sample, judge and encode what is asked; `write` has it in order. Raises what they do.

    What is asked may depend on what is `seen` by then: None asks for another judged batch there.
    """
    if job.workers > 1:
        with spread(job.make, job.workers) as mapped:
            write(_noted(mapped(asked), seen))
        return
    more: SimpleQueue[bool] = SimpleQueue()  # False: no more will be judged

    def write_ready(ready: Iterator[_Ready]) -> None:
        write(_encoded(ready))

    with (
        beside(write_ready) as to_write,
        beside(_Judging(job, to_write, seen, more)) as to_judge,
    ):
        for batch in asked:
            if batch is not None:
                to_judge(job.sample(batch))
            elif not more.get():
                break  # what ended the judging is raised where the block ends


def _noted(made: Iterator[Batch[Kept]], seen: Seen | None) -> Iterator[Batch[Kept]]:
    for batch in made:
        _note([kept.judged for kept in batch.items], batch.shard, seen)
        yield batch


def _note(judged: Sequence[Judged], shard: int, seen: Seen | None) -> None:
    if seen is not None:
        seen[shard].extend(one.right for one in judged)


@dataclass(frozen=True)
class _Ready:
    """A batch with its verdicts, whose pictures are being encoded."""

    batch: Batch[Judged]
    files: Sequence[Future[dict[str, bytes]]]


class _Judging:
    """Pictures are encoded while they are judged."""

    def __init__(
        self,
        job: Job,
        to_write: Callable[[_Ready], None],
        seen: Seen | None,
        more: SimpleQueue[bool],
    ) -> None:
        self._job, self._to_write, self._stream = job, to_write, stream_beside()
        self._seen, self._more = seen, more

    def __call__(self, sampled: Iterator[Batch[Candidate]]) -> None:
        try:
            self._judge(sampled)
        finally:
            self._more.put(False)

    def _judge(self, sampled: Iterator[Batch[Candidate]]) -> None:
        job = self._job
        with self._stream, ThreadPoolExecutor(ENCODERS, "encode") as pool:
            for batch in sampled:
                files = [pool.submit(job.files, candidate) for candidate in batch.items]
                judged = Batch(batch.shard, job.verdicts(batch), batch.last)
                _note(judged.items, batch.shard, self._seen)
                self._more.put(True)
                self._to_write(_Ready(judged, files))


def _encoded(ready: Iterator[_Ready]) -> Iterator[Batch[Kept]]:
    for one in ready:
        files = (future.result() for future in one.files)
        kept = [Kept(*both) for both in zip(one.batch.items, files, strict=True)]
        yield Batch(one.batch.shard, kept, one.batch.last)
