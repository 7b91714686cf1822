"""Numbered pieces of work that several processes share out by leases."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from sipo.common.files.leases import Leases
from sipo.common.processes import this_process

POLL_S = 1.0
"""Between two looks at what others are making."""


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

    A process begins with its own part and goes on with what others have left.
    """

    def __init__(
        self,
        numbers: Iterable[int],
        is_made: Callable[[int], bool],
        leases: Leases,
        kind: str,
        tidy: Callable[[int], None] = lambda _: None,
    ) -> None:
        """`tidy` a piece that another had begun and left."""
        self.left = {number for number in numbers if not is_made(number)}
        self._is_made, self._leases, self._kind, self._tidy = is_made, leases, kind, tidy

    def claimed(self) -> Iterator[int]:
        """Those that nobody has now, each leased; what others have made by now is left out."""
        for number in this_process().first_its_own(sorted(self.left)):
            name = self.name_of(number)
            if not self._leases.claim(name):
                continue
            if name in self._leases.taken_over:
                self._tidy(number)
            if self._is_made(number):
                self.made(number)
            else:
                yield number

    def made(self, number: int) -> None:
        self._leases.release(self.name_of(number))
        self.left.discard(number)

    def again(self, number: int) -> None:
        self._tidy(number)

    def until_done(self, make: Callable[[], None]) -> None:
        """`make` what can be claimed, again until nothing is left, whoever made it."""
        while self.left:
            before = len(self.left)
            make()
            if len(self.left) == before:
                time.sleep(POLL_S)

    def name_of(self, number: int) -> str:
        return f"{self._kind}-{number:06d}"
