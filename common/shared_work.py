"""Numbered pieces of work that several processes share out by leases."""

from __future__ import annotations

import random
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sipo.common.files.leases import Leases
from sipo.common.pace import Pace
from sipo.common.processes import Process, this_process

POLL_S = 1.0
"""Between two looks at what others are making, where there is nothing else to do."""
MOST_POLL_S = 15.0
"""The same after a while, an eighth of what was waited by then: many wait, and one disk answers."""
LOOKS = 32
"""Pieces of others that are looked at between two of one's own, or in such a look."""

News = Callable[[str, int, int | None], object]
"""Told of a kind of piece, how many were left at first, and the number of one that is made."""
_listeners: list[News] = []


def tell_of_pieces(listener: News) -> None:
    """From now on, of all that this process shares in."""
    _listeners.append(listener)


class Work:
    """Which pieces to make: `claimed` gives them one by one, `made` is told of each."""

    def claimed(self) -> Iterator[int]:
        raise NotImplementedError

    def made(self, number: int) -> None:
        raise NotImplementedError


class Pieces(Protocol):
    """Work that others make for this process."""

    @property
    def left(self) -> Collection[int]: ...

    def claimed(self) -> Iterator[int]: ...

    def made(self, number: int) -> None: ...

    def again(self, number: int) -> None:
        """It is still this process's, and whoever had begun it has left it: put that away."""

    def name_of(self, number: int) -> str: ...


@dataclass
class Alone(Work):
    """These, which nobody else makes."""

    numbers: Iterable[int]

    def claimed(self) -> Iterator[int]:
        return iter(self.numbers)

    def made(self, number: int) -> None:
        pass


class Shared(Work):
    """What is left of `numbers`, each made by who leases it, `kind` the name of a piece.

    A process begins with its own part and goes on with what others have left, anywhere. What one
    that died had in hand is taken up by who sees it go stale, between two pieces of its own. The
    last pieces are left to the faster ones (`Pace`).
    """

    def __init__(
        self,
        numbers: Iterable[int],
        is_made: Callable[[int], bool],
        leases: Leases,
        kind: str,
        tidy: Callable[[int], None] = lambda _: None,
        *,
        process: Process | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`tidy` a piece that another had begun and left."""
        self.left = {number for number in numbers if not is_made(number)}
        self._is_made, self._leases, self._kind, self._tidy = is_made, leases, kind, tidy
        self._at_first = len(self.left)
        self._tell(None)
        self._process = process or this_process()
        self._pace = Pace(len(self.left), self._process.count, clock)
        self._chance = random.Random(self._process.rank)
        self._searched = self._found = False
        self._idle_s = 0.0

    def claimed(self) -> Iterator[int]:
        """Those that nobody has now, each leased; what others have made by now is left out."""
        todo, held = deque(self._in_turn()), deque[int]()
        back = self._leaves_to_others(todo)
        while todo and not back:
            number = todo.popleft()
            if self._is_made(number):
                self.left.discard(number)
            elif self._claim(number):
                self._found = True
                yield number
                todo.extendleft(held.popleft() for _ in range(min(LOOKS, len(held))))
                back = self._leaves_to_others(todo)
            else:
                held.append(number)
        self._searched = self._searched or not todo

    def made(self, number: int) -> None:
        self._leases.release(self.name_of(number))
        self.left.discard(number)
        self._tell(number)
        self._pace.made()

    def again(self, number: int) -> None:
        self._tidy(number)

    def until_done(self, make: Callable[[], None]) -> None:
        """`make` what can be claimed, again until nothing is left, whoever made it."""
        while self.left:
            make()
            time.sleep(self.pause_s())
        self._leases.free_left(f"{self._kind}-")

    def pause_s(self) -> float:
        """Between two looks; none where the last one found something to do, or nothing is left."""
        if self._found or not self.left:
            self._found, self._idle_s = False, 0.0
            return 0.0
        pause = min(max(POLL_S, self._idle_s / 8), MOST_POLL_S)
        self._idle_s += pause
        self._pace.waited(pause)
        return pause

    def _in_turn(self) -> list[int]:
        """All, its own part first; where all have been looked at, and are others', some of them."""
        left = sorted(self.left)
        return self._some(left) if self._searched else self._process.first_its_own(left)

    def _some(self, numbers: Sequence[int]) -> list[int]:
        return self._chance.sample(numbers, min(LOOKS, len(numbers)))

    def _claim(self, number: int) -> bool:
        name = self.name_of(number)
        if not self._leases.claim(name):
            return False
        if name in self._leases.taken_over:
            self._tidy(number)
        if not self._is_made(number):
            return True
        self._leases.release(name)  # made between the two looks
        self.left.discard(number)
        return False

    def _leaves_to_others(self, todo: deque[int]) -> bool:
        """Looks at some of `todo`, and at more of it while most are made."""
        if not self._pace.is_slow(0):  # however much they have made
            return False
        share = 0.0
        while todo and share < 0.5:
            looked = self._some(todo)
            made = {number for number in looked if self._is_made(number)}
            share = 1 - len(made) / len(looked)
            self.left -= made
            for number in made:
                todo.remove(number)
        return bool(todo) and self._pace.steps_back(share * len(self.left))

    def _tell(self, number: int | None) -> None:
        for listener in _listeners:
            listener(self._kind, self._at_first, number)

    def name_of(self, number: int) -> str:
        return f"{self._kind}-{number:06d}"
