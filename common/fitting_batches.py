"""Batches that halve when memory runs out, and stay small for the rest of a run."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Sequence
from typing import TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")
R = TypeVar("R")

_ALLOCATORS = ("DefaultCPUAllocator: can't allocate memory", "ALLOC_FAILED")
"""What a RuntimeError says of torch's own on a CPU, and of cuBLAS' and cuDNN's on a card."""
_fits: WeakKeyDictionary[object, int] = WeakKeyDictionary()
"""Of a model or judge that ran out of memory: how many it takes at a time since."""


def in_fitting_batches(
    owner: object,
    work: Callable[[Sequence[T]], Sequence[R]],
    items: Sequence[T],
    doing: str,
    with_one: str,
    remedy: str,
    size: int | None = None,
) -> list[R]:
    """A result an item, in order, by `work` on `size` of them at a time (None: on all).

    Where memory runs out the size is halved for all that `owner` does from then on, and said.
    Raises ValueError, "{doing} ran out of memory with {with_one}; {remedy}", where one is too many.
    """
    results: list[R] = []
    while len(results) < len(items):
        most = min(_fits.get(owner, len(items)), size or len(items))
        batch = items[len(results) : len(results) + most]
        done = _attempt(work, batch)
        if not isinstance(done, str):
            results += done
            continue
        if len(batch) == 1:
            raise ValueError(f"{doing} ran out of memory with {with_one} ({done}); {remedy}")
        give_back_memory()  # only now: the attempt's traceback held its tensors
        _fits[owner] = len(batch) // 2
        logging.getLogger(__name__).warning(
            "%s %d at a time ran out of memory; going on with %d at a time",
            *(doing, len(batch), _fits[owner]),
        )
    return results


def _attempt(work: Callable[[Sequence[T]], Sequence[R]], batch: Sequence[T]) -> Sequence[R] | str:
    """The first line of what was raised where memory ran out."""
    try:
        return work(batch)
    except RuntimeError as error:
        if not ran_out_of_memory(error):
            raise
        return (str(error).splitlines() or [type(error).__name__])[0]


def ran_out_of_memory(error: RuntimeError) -> bool:
    import torch  # who raised it has imported it

    return isinstance(error, torch.OutOfMemoryError) or any(
        sign in str(error) for sign in _ALLOCATORS
    )


def give_back_memory() -> None:
    """Of tensors that nothing holds any more, to the card."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
