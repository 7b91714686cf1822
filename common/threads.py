"""Work beside the main thread: what is handed over there is dealt with here, in order.

For work that lets the interpreter go while it computes: networks, Pillow's codecs, hashes, disks.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from queue import SimpleQueue
from threading import Thread
from typing import Generic, TypeVar, cast

import torch

T = TypeVar("T")

ENCODERS = min(4, os.cpu_count() or 1)
"""Threads that make PNGs: one makes ten of 1024 px a second."""

_END = object()


class _LeftError(BaseException):
    """Who hands over has failed or was stopped: what is half done is put away."""


@contextmanager
def beside(deal: Callable[[Iterator[T]], object], ahead: int = 1) -> Iterator[Callable[[T], None]]:
    """`deal` reads in a thread of its own, in their order, the items that are handed over here.

    `ahead` items may wait; who hands over another one waits, too. The block ends when all are dealt
    with. What `deal` raises is raised here, at the next item or at the end. Where the block raises
    (Ctrl-C), `deal` gets an exception instead of its next item, and has ended when the block has;
    a second Ctrl-C does not wait for that.
    """
    way = _Handover[T](ahead)
    thread = Thread(target=way.run, args=(deal,), name="beside", daemon=True)
    try:
        thread.start()
        yield way.give
        way.end()
    except BaseException:
        way.leave()
        raise
    finally:
        thread.join()
    way.check()


class _Handover(Generic[T]):
    """Two queues of C code: an exception that a signal raises in the main thread may hit between
    any two steps of Python, and would leave a lock of `queue.Queue` closed."""

    def __init__(self, ahead: int) -> None:
        self._error: BaseException | None = None
        self._items: SimpleQueue[object] = SimpleQueue()
        self._room: SimpleQueue[None] = SimpleQueue()
        for _ in range(ahead):
            self._room.put(None)
        self._left = self._all_read = self._ended = False

    def give(self, item: T) -> None:
        self._room.get()
        if self._ended:
            self._room.put(None)  # for the next to ask
            self.check()
        self._items.put(item)

    def check(self) -> None:
        """Raises what ended the reading before the items."""
        if self._error is not None:
            raise self._error
        if not self._all_read:
            raise RuntimeError("who reads beside has ended before its items")

    def end(self) -> None:
        self._items.put(_END)

    def leave(self) -> None:
        self._left = True
        self._items.put(_END)

    def run(self, deal: Callable[[Iterator[T]], object]) -> None:
        try:
            deal(self._taken())
        except _LeftError:
            pass
        except BaseException as error:
            self._error = error
        finally:
            self._ended = True
            self._room.put(None)

    def _taken(self) -> Iterator[T]:
        while True:
            item = self._items.get()
            if self._left:
                raise _LeftError
            if item is _END:
                self._all_read = True
                return
            self._room.put(None)
            yield cast(T, item)


def stream_beside() -> AbstractContextManager[object]:
    """Made here and entered by a thread: what that starts on this thread's card waits for none of
    this thread's work, nor this for its. A new thread would have card 0, and the one stream of all.
    """
    if not torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        return nullcontext()
    stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())  # weights may still be on their way
    return cast(AbstractContextManager[object], torch.cuda.stream(stream))
