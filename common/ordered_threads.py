"""Work that lets go of Python's lock, as decoding pictures does, shared out to threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def threads_for(asked: int | None = None) -> int:
    """As asked, else one for each core that is ours."""
    if asked is not None:
        return asked
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_order(
    work: Callable[[T], R],
    items: Iterable[T],
    threads: int,
    ahead: int,
    size_of: Callable[[T], int] = lambda item: 0,
    most: int = 0,
) -> Generator[R, None, None]:
    """A `map` of `work` that keeps the order of the items, which are taken in this thread.

    At most `ahead` wait to be asked for, and no more than make `most` by `size_of`, but always
    one. What an item raises, also in being taken, is raised in its turn. Close it to stop it. One
    thread is this one, and takes nothing ahead.
    """
    if threads == 1:
        yield from map(work, items)
        return
    asked: deque[tuple[Future[R], int]] = deque()
    waiting, failure = 0, None
    source, more = iter(items), True
    pool = ThreadPoolExecutor(threads)
    try:
        while more or asked:
            if more and (not asked or (len(asked) < ahead and waiting <= most)):
                try:
                    item = next(source)
                except StopIteration:
                    more = False
                except Exception as error:  # it is raised behind the items before it
                    more, failure = False, error
                else:
                    asked.append((pool.submit(work, item), size_of(item)))
                    waiting += asked[-1][1]
                continue
            future, size = asked.popleft()
            waiting -= size
            yield future.result()
        if failure is not None:
            raise failure
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
