"""The next batch, made in a thread while the device is at this one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from sipo.train.distributed.together import rank_and_size

T = TypeVar("T")


class BatchAhead(Generic[T]):
    """A batch is a function of its positions in the stream, so one that was made for others (before
    a restart) is thrown away. What making raises is raised when the batch is asked for.
    """

    def __init__(self, make: Callable[[range], T]) -> None:
        """`make` is called by one thread at a time."""
        self._make = make
        self._made: tuple[range, Future[T]] | None = None

    def __call__(self, positions: range) -> T:
        """Of this process's `positions`; asks for those that it has next."""
        if self._made is None or self._made[0] != positions:
            if self._made is not None:
                self._made[1].exception()  # waits, and raises nothing
            self._ask(positions)
            assert self._made is not None
        batch = self._made[1].result()
        _, processes = rank_and_size()
        further = len(positions) * processes
        self._ask(range(positions.start + further, positions.stop + further))
        return batch

    def _ask(self, positions: range) -> None:
        """By a thread of its own, which ends with its work."""
        pool = ThreadPoolExecutor(1)
        self._made = positions, pool.submit(self._make, positions)
        pool.shutdown(wait=False)
