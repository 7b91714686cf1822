"""What processes do together: each has a share of the work, and all know what came of it.

One process alone has all of the work, and nobody to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TypeVar, cast

from torch import Tensor
from torch import distributed as group

T = TypeVar("T")


@dataclass(frozen=True)
class Failure:
    """What a process could not do."""

    sentence: str
    is_mistake: bool  # of the user


def rank_and_size() -> tuple[int, int]:
    """The number of this process, and how many there are."""
    if group.is_available() and group.is_initialized():
        return group.get_rank(), group.get_world_size()
    return 0, 1


def share_of(parts: Sequence[T]) -> Sequence[T]:
    """This process's: parts are dealt out like cards."""
    rank, size = rank_and_size()
    return parts[rank::size]


def in_turn(shares: Iterable[Sequence[Sequence[T]]]) -> list[T]:
    """What every process made of its `share_of` the parts, joined in the order of the parts."""
    rounds = zip_longest(*shares, fillvalue=())
    return [one for turn in rounds for part in turn for one in part]


def everyones(value: T) -> list[T]:
    """The value of every process, on all of them."""
    _, size = rank_and_size()
    if size == 1:
        return [value]
    values: list[T | None] = [None] * size
    group.all_gather_object(values, value)
    return cast("list[T]", values)


def for_the_main_one(value: T) -> list[T]:
    """The value of every process on the main one, [] on the others. For large ones: they are sent
    one by one, so that a card holds but one, and not as many as there are processes.
    """
    rank, size = rank_and_size()
    if size == 1:
        return [value]
    values: list[T] = []
    for source in range(size):
        sent: list[T | None] = [value if rank == source else None]
        group.broadcast_object_list(sent, source)
        values += cast("list[T]", [] if rank else sent)
    return values


def everyones_tensor(value: Tensor) -> list[Tensor]:
    """The same for tensors of one shape, without a copy on the CPU."""
    _, size = rank_and_size()
    if size == 1:
        return [value]
    values = [value.new_empty(value.shape) for _ in range(size)]
    group.all_gather(values, value)
    return values


def on_every_process(work: Callable[[], T]) -> list[T]:
    """What `work` gives on every process; what it raises on one is raised on all of them.

    Or the others would wait for it, for hours. `work` must not wait for another process itself.
    """
    _, size = rank_and_size()
    if size == 1:
        return [work()]
    outcome: T | Failure
    error: Exception | None = None
    try:
        outcome = work()
    except Exception as raised:
        error, outcome = raised, _failure(raised)
    outcomes = everyones(outcome)
    if error is not None:
        raise error
    done = [one for one in outcomes if not isinstance(one, Failure)]
    for rank, other in enumerate(outcomes):
        if isinstance(other, Failure):
            if other.is_mistake:
                raise ValueError(other.sentence)
            raise ChildProcessError(f"process {rank} failed: {other.sentence}")
    return done


def _failure(error: Exception) -> Failure:
    mistake = isinstance(error, ValueError)
    return Failure(str(error) if mistake else f"{type(error).__name__}: {error}", mistake)
