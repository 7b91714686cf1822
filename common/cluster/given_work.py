"""Pieces that are given one by one, each while the one before is still being made."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from threading import Lock, Thread

from sipo.common.shared_work import Work


class GivenWork(Work):
    """`make` is called by several threads, each with its piece, and returns when that is made.

    All are made by one other thread: what is given while it is at work follows on what it makes,
    as if all had been known from the beginning; where nothing is given it comes to its end, and
    begins again with the next piece. What it raises is raised for every piece that it had begun.
    """

    def __init__(self, make_all: Callable[[Work], None]) -> None:
        self._make_all = make_all
        self._lock = Lock()
        self._given: deque[int] = deque()
        self._begun: set[int] = set()
        self._waiting: dict[int, Future[None]] = {}
        self._at_work = False

    def make(self, number: int) -> None:
        with self._lock:
            done = self._waiting[number] = Future()
            self._given.append(number)
            if not self._at_work:
                self._at_work = True
                Thread(target=self._work, name="given work", daemon=True).start()
        done.result()

    def claimed(self) -> Iterator[int]:
        while True:
            with self._lock:
                if not self._given:
                    return
                number = self._given.popleft()
                self._begun.add(number)
            yield number

    def made(self, number: int) -> None:
        with self._lock:
            self._begun.discard(number)
            done = self._waiting.pop(number)
        done.set_result(None)

    def _work(self) -> None:
        while self._is_given():
            try:
                self._make_all(self)
                assert not self._begun, f"{self._begun} were begun and not made"
            except BaseException as error:
                self._failed(error)

    def _is_given(self) -> bool:
        with self._lock:
            self._at_work = bool(self._given)
            return self._at_work

    def _failed(self, error: BaseException) -> None:
        with self._lock:
            failed = [self._waiting.pop(number) for number in sorted(self._begun)]
            self._begun.clear()
        for done in failed:
            done.set_exception(error)
