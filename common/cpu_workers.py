"""Sampling on a CPU, shared out to forked processes of one thread each.

Small batches keep one thread busy and make two wait for each other: on two cores, two processes
sample 5.4 images/s of mini-sd, one process with two threads 4.0 (docs/log.md).
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar, cast

import torch

from sipo.common.processes import this_process
from sipo.common.spawning import end_with

T = TypeVar("T")
R = TypeVar("R")
Spread = Callable[[Iterable[T | None]], Iterator[R]]

_work: Callable[..., object]
AHEAD = 2  # results that may wait, for each worker


def workers_for(device: str, asked: int | None = None) -> int:
    """How many: as asked, else one for each core of a CPU, which processes that were launched
    together share. A GPU is one process's own.

    Raises ValueError for several on a GPU or where processes cannot be forked.
    """
    can_fork = sys.platform == "linux" and not torch.cuda.is_available()  # a judge may be there
    if asked is None:
        cores = len(os.sched_getaffinity(0)) // this_process().local_count
        return max(1, cores) if device == "cpu" and can_fork else 1
    if asked > 1 and not (device == "cpu" and can_fork):
        raise ValueError(
            f"--workers {asked} needs Linux and no GPU, and this is {device!r} on "
            f"{sys.platform!r}; leave it out"
        )
    return asked


@contextmanager
def spread(work: Callable[[T], R], count: int) -> Iterator[Spread[T, R]]:
    """A `map` of `work` that keeps the order of the items; only items and results are sent. An
    item that is None asks for a result before the next item.

    With one worker it runs here. Workers write nothing, and end when this process does, however
    that happens; also in the middle of an item, where this one is stopped. What `work` raises is
    raised here.
    """
    if count == 1:
        yield lambda items: (work(item) for item in items if item is not None)
        return
    forked = multiprocessing.get_context("fork")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(count, forked, _begin, (work, os.getpid()))
    try:
        yield lambda items: _in_order(pool, work, items, AHEAD * count)
    except BaseException:
        for worker in set(multiprocessing.active_children()) - others:
            worker.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _in_order(
    pool: ProcessPoolExecutor, work: Callable[[T], R], items: Iterable[T | None], ahead: int
) -> Iterator[R]:
    """Of `work`, which the pool's processes have from their beginning, as `_work`."""
    asked: deque[Future[R]] = deque()
    try:
        for item in items:
            if item is not None:
                asked.append(cast("Future[R]", pool.submit(_call, item)))
            if item is None or len(asked) > ahead:
                yield asked.popleft().result()
        while asked:
            yield asked.popleft().result()
    except BrokenProcessPool:
        raise ChildProcessError(
            "a sampling process was killed, most likely for want of memory; "
            "set --workers or --batch-size lower and run the same command again"
        ) from None


def _begin(work: Callable[..., object], parent: int) -> None:
    global _work
    _work = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends these
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent)
    torch.set_num_threads(1)  # also what makes PyTorch safe after a fork


def _call(item: object) -> object:
    return _work(item)
