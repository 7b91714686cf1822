"""How fast a process makes pieces of work, and all of them together."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

LONGER = 1.25
"""So many times as long as all together need for the rest is too long: paces are estimates."""


@dataclass
class Pace:
    """Since it began, when `total` pieces were left, among `processes` that are known of.

    One that is much slower than the others would begin a last piece and let all wait for it. It
    steps back where they, at their pace, are done with all that is left before it would be with
    one; but never longer than that one takes it, since they may have ended by then.
    """

    total: int
    processes: int
    clock: Callable[[], float]
    own: int = 0
    _waited_s: float = 0.0
    _back_since: float | None = None
    _began: float = field(init=False)

    def __post_init__(self) -> None:
        self._began = self.clock()

    def made(self) -> None:
        self.own += 1

    def waited(self, seconds: float) -> None:
        self._waited_s += seconds

    def is_slow(self, left: float) -> bool:
        """Whether a piece takes it longer than it takes all to make those `left`, of which each has
        one in hand."""
        made = self.total - left
        if not self.own or made <= 0 or self.processes == 1:  # or nobody said how many there are
            return False
        return self._piece_s() > LONGER * max(left, self.processes) * self._passed_s() / made

    def steps_back(self, left: float) -> bool:
        if not self.is_slow(left):
            self._back_since = None
            return False
        if self._back_since is None:
            self._back_since = self.clock()
        return self.clock() - self._back_since < self._piece_s()

    def _passed_s(self) -> float:
        return self.clock() - self._began

    def _piece_s(self) -> float:
        return (self._passed_s() - self._waited_s) / self.own
