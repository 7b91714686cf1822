"""Pieces of work handed out to a crew: what a worker that dies leaves undone another makes.

Only this process claims pieces, so that one whose worker died is nobody else's meanwhile and goes
to the next worker at once.
"""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from sipo.common.cluster.connection import say
from sipo.common.cluster.crew import MOST_DEATHS, Actor, Crew, Ref, Said, Worker
from sipo.common.errors import explain, reason_of
from sipo.common.shared_work import POLL_S, Pieces

AHEAD = 2
"""Pieces that a worker has in hand, so that it begins one while the other comes to its end."""

Made = TypeVar("Made")
_LINE = re.compile(r'File "([^"]+)", line (\d+)')


class Piecework(Generic[Said, Made]):
    """`make` asks a worker for a piece, `told` is given what comes back, and `admit` raises for a
    worker that is not to have any. A piece that raises is tried `tries` times. `look` is called
    now and then."""

    def __init__(
        self,
        crew: Crew[Said],
        work: Pieces,
        make: Callable[[Actor, int], Ref],
        told: Callable[[Made], object],
        admit: Callable[[Said], object],
        tries: int,
        ahead: int = AHEAD,
        look: Callable[[], object] = lambda: None,
    ) -> None:
        self._crew, self._ray, self._work = crew, crew.ray, work
        self._make, self._told, self._admit, self._tries = make, told, admit, tries
        self._ahead, self._look = ahead, look
        self._again: deque[int] = deque()
        self._failures: Counter[int] = Counter()
        self._deaths: Counter[int] = Counter()
        self._ends: Exception | None = None

    def hand_out(self) -> None:
        """All that can be claimed, until it is made.

        Raises ChildProcessError that names the piece which failed too often, when what the others
        had in hand is made. Where this is stopped the workers are gone, and what they had begun is
        put away.
        """
        try:
            self._hand_out(self._work.claimed())
        except BaseException:
            begun = [*self._in_hand(), *self._again]
            self._crew.stop()
            for number in begun:
                self._work.again(number)
            raise

    def _hand_out(self, claimed: Iterator[int]) -> None:
        more = True
        while self._in_hand() or (not self._ends and (more or self._again)):
            self._crew.grow(len(self._work.left))
            self._admit_new()
            while more or self._again:
                if self._ends or (worker := self._free()) is None:
                    break
                number = self._again.popleft() if self._again else next(claimed, None)
                if number is None:
                    more = False
                else:
                    worker.in_hand[self._make(worker.actor, number)] = number
            if more or self._again or self._in_hand():
                self._settle(self._crew.wait(POLL_S))
                self._look()
        if self._ends:
            raise self._ends

    def _in_hand(self) -> list[int]:
        return [number for worker in self._crew.workers for number in worker.in_hand.values()]

    def _admit_new(self) -> None:
        for worker in [*self._crew.workers]:
            if worker.said is not None and not worker.admitted:
                try:
                    self._admit(worker.said)
                    worker.admitted = True
                except ValueError as cause:
                    self._crew.refuse(worker, cause)

    def _free(self) -> Worker[Said] | None:
        """Whoever has least in hand. What failed before is made alone, so that nothing else fails
        with it; and where there is not enough for all, nobody has a second piece."""
        ready = [worker for worker in self._crew.workers if worker.admitted]
        unclaimed = len(self._work.left) - len(self._in_hand())
        alone = bool(self._again and self._failures[self._again[0]])
        most = 1 if alone or unclaimed <= len(ready) else self._ahead
        free = [w for w in ready if len(w.in_hand) < most and not self._tries_again(w)]
        return min(free, key=lambda worker: len(worker.in_hand), default=None)

    def _tries_again(self, worker: Worker[Said]) -> bool:
        return any(self._failures[number] for number in worker.in_hand.values())

    def _settle(self, done: list[Ref]) -> None:
        for ref in done:
            if loader := self._crew.loader(ref):
                self._crew.loaded(loader)
            for worker in [*self._crew.workers]:
                if ref in worker.in_hand:
                    self._settle_piece(worker, ref)

    def _settle_piece(self, worker: Worker[Said], ref: Ref) -> None:
        number = worker.in_hand[ref]
        try:
            made: Made = self._ray.get(ref)
        except self._ray.exceptions.RayTaskError as error:
            del worker.in_hand[ref]
            self._failed(number, error.cause, str(error))
        except self._ray.exceptions.RayError as error:
            lost = [*worker.in_hand.values()]
            self._crew.drop(worker)
            for each in lost:
                self._lost(each, error)
        else:
            del worker.in_hand[ref]
            self._told(made)
            self._work.made(number)

    def _failed(self, number: int, cause: Exception, trace: str) -> None:
        self._failures[number] += 1
        tried, name = self._failures[number], self._work.name_of(number)
        what = explain(cause) or f"{type(cause).__name__}: {reason_of(cause)}{_where(trace)}"
        if tried < self._tries:
            say(f"{name} failed and is tried again: {what}")
            self._make_again(number)
        else:
            times = f" in {tried} tries" if tried > 1 else ""
            self._end(f"{name} failed{times}: {what}; what is done is kept")

    def _lost(self, number: int, error: Exception) -> None:
        self._deaths[number] += 1
        if self._deaths[number] <= MOST_DEATHS:
            self._make_again(number)
        else:
            name = self._work.name_of(number)
            self._end(
                f"{self._deaths[number]} workers died while they made {name} ({reason_of(error)}), "
                "perhaps for want of memory; what is done is kept"
            )

    def _make_again(self, number: int) -> None:
        self._work.again(number)
        self._again.append(number)

    def _end(self, sentence: str) -> None:
        self._ends = self._ends or ChildProcessError(f"{sentence}, the same command again goes on")


def _where(trace: str) -> str:
    """The last line of code that a traceback names."""
    lines = _LINE.findall(trace)
    return f" ({lines[-1][0]}, line {lines[-1][1]})" if lines else ""
