"""Being asked to stop: the signal is noted, the step ends, a checkpoint is kept, then all ends.

What is killed without being asked loses the steps since the last checkpoint, no more.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Protocol, Self

from sipo.common.errors import Terminated

SIGNALS = (signal.SIGINT, signal.SIGTERM)
Handler = Callable[[int, FrameType | None], object] | int | None
"""What `signal.getsignal` gives."""
NOTED = "stopping at the end of this step"


class Told(Protocol):
    """An event of `multiprocessing` or `threading`."""

    def is_set(self) -> bool: ...


class Stopping:
    """Inside `with`, the first SIGINT or SIGTERM is noted, and the second does what it always did.

    `told` is another way to be asked: processes that one command started hear it from that
    command. `pass_on` is called when a signal is noted. Signals that are ignored stay ignored, and
    only a process's main thread hears any.
    """

    def __init__(
        self, told: Told | None = None, pass_on: Callable[[], object] | None = None
    ) -> None:
        self.signal: int | None = None
        self.again_at_once = True
        self._told, self._pass_on = told, pass_on
        self._before: dict[signal.Signals, Handler] = {}

    @property
    def asked(self) -> bool:
        return self.signal is not None or (self._told is not None and self._told.is_set())

    def interrupt(self, message: str) -> KeyboardInterrupt:
        """What to raise, so that the command ends as the signal would have ended it."""
        kind = Terminated if self.signal == signal.SIGTERM else KeyboardInterrupt
        return kind(message)

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.signal is not None:  # of several processes: a launcher repeats what a terminal says
            return
        self.signal = number
        again = "; once more ends at once" if self.again_at_once else ""
        with suppress(OSError):  # not by print: it may be what was interrupted
            os.write(2, f"\n{NOTED}{again}\n".encode())
        if self._pass_on is not None:
            self._pass_on()
        if self.again_at_once:
            self.__exit__()


@contextmanager
def held_back() -> Iterator[None]:
    """SIGINT and SIGTERM wait until the block ends. A process started inside begins deaf to both,
    until it says otherwise (`deaf`).
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def deaf() -> None:
    """This process ignores both from now on: who started it hears them."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
