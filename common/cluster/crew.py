"""The workers that a command has in a Ray cluster: they load, they are lost, others come.

A worker is an actor with a method `load`, which says what the worker is when its models are there.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, TypeVar

from sipo.common.cluster.connection import PATIENCE_S, Cluster, say
from sipo.common.errors import explain, reason_of
from sipo.common.shared_work import POLL_S

MOST_DEATHS = 10
"""Of workers before they are ready, or with one and the same piece of work in hand."""
LOOK_S = 5.0  # between two looks at what the cluster holds
STOP_S = 10.0

Actor = Any
Ref = Any
"""Ray's, of which it says no types."""
Said = TypeVar("Said")


@dataclass(eq=False)
class Worker(Generic[Said]):
    """`loading` is None when it is ready; `in_hand` are the pieces that it makes."""

    actor: Actor
    loading: Ref | None
    said: Said | None = None
    admitted: bool = False
    in_hand: dict[Ref, int] = field(default_factory=dict)


class Crew(Generic[Said]):
    """As many workers as are `wanted` now, begun by `start`; where the block ends they are gone.

    `need` says what one needs of a node.
    """

    def __init__(
        self, cluster: Cluster, start: Callable[[], Actor], wanted: Callable[[], int], need: str
    ) -> None:
        self.ray = cluster.ray
        self.workers: list[Worker[Said]] = []
        self._start, self._wanted, self._need = start, wanted, need
        self._refused = self._died = 0
        self._next_look = 0.0

    def __enter__(self) -> Crew[Said]:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def first(self, most: int) -> Said:
        """What the first of `most` workers says that is ready. Raises what hinders one to load."""
        began, is_told = time.monotonic(), False
        while True:
            self.grow(most)
            for ref in self.wait(POLL_S):
                if (worker := self.loader(ref)) and (said := self._load(worker)) is not None:
                    return said
            if not is_told and time.monotonic() - began > PATIENCE_S:
                is_told = True
                say(f"no worker has been started by the cluster and loaded; one needs {self._need}")

    def grow(self, most: int) -> None:
        """Start what is missing, one at least and `most` at most. One who waits for a node is told
        to whatever makes the cluster larger."""
        if time.monotonic() < self._next_look and self.workers:
            return
        self._next_look = time.monotonic() + LOOK_S
        for _ in range(len(self.workers) + self._refused, min(self._wanted(), most)):
            actor = self._start()
            self.workers.append(Worker(actor, actor.load.remote()))

    def wait(self, most_s: float) -> list[Ref]:
        """What is done: a worker has loaded, or made a piece."""
        loading = [worker.loading for worker in self.workers if worker.loading is not None]
        asked = [*loading, *(ref for worker in self.workers for ref in worker.in_hand)]
        if not asked:
            time.sleep(most_s)
            return []
        done: list[Ref] = self.ray.wait(asked, timeout=most_s)[0]
        return done

    def loader(self, ref: Ref) -> Worker[Said] | None:
        return next((worker for worker in self.workers if worker.loading == ref), None)

    def loaded(self, worker: Worker[Said]) -> None:
        """It is ready, or gone: as `refuse`."""
        try:
            self._load(worker)
        except Exception as cause:
            if worker in self.workers:
                self.refuse(worker, cause)
            else:
                raise

    def _load(self, worker: Worker[Said]) -> Said | None:
        """None of one who died. Raises what it raised, and ChildProcessError after many deaths."""
        try:
            worker.said, worker.loading = self.ray.get(worker.loading), None
            self._died = 0
        except self.ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except self.ray.exceptions.RayError as error:
            self.drop(worker)
            self._died += 1
            if self._died > MOST_DEATHS:
                raise ChildProcessError(
                    f"{self._died} workers died while they loaded ({reason_of(error)}); look at "
                    "their memory and at Ray's logs, and run the same command again"
                ) from None
        return worker.said

    def refuse(self, worker: Worker[Said], cause: Exception) -> None:
        """One who cannot be used is not replaced: another would find the same there. Raises `cause`
        where no worker is left."""
        self.drop(worker)
        self._refused += 1
        if not self.workers:
            raise cause
        say(f"a worker is left out: {explain(cause) or repr(cause)}")

    def drop(self, worker: Worker[Said]) -> None:
        self.workers.remove(worker)
        self._next_look = 0.0
        with suppress(self.ray.exceptions.RayError):
            self.ray.kill(worker.actor)

    def stop(self) -> None:
        """All are gone when it returns, if they can be in STOP_S."""
        working = [ref for worker in self.workers for ref in worker.in_hand]
        for worker in [*self.workers]:
            self.drop(worker)
        if working:
            self.ray.wait(working, num_returns=len(working), timeout=STOP_S)
