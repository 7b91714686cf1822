"""Work beside the main thread: in order, with its errors, and over when the block is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from sipo.common.threads import beside


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    before = threading.active_count()
    yield
    assert threading.active_count() == before


def test_items_are_dealt_with_in_order_beside_the_main_thread() -> None:
    seen: list[tuple[int, str]] = []

    def deal(items: Iterator[int]) -> None:
        seen.extend((item, threading.current_thread().name) for item in items)

    with beside(deal) as give:
        for number in range(50):
            give(number)
    assert [item for item, _ in seen] == list(range(50))
    assert threading.main_thread().name not in {name for _, name in seen}


def test_both_sides_work_at_once() -> None:
    """Each waits for the other to have begun: one after the other would wait for ever."""
    here, there = threading.Event(), threading.Event()

    def deal(items: Iterator[int]) -> None:
        for _ in items:
            there.set()
            assert here.wait(60)

    with beside(deal) as give:
        give(0)
        assert there.wait(60)
        here.set()


@pytest.mark.parametrize("ahead", [1, 2])
def test_no_more_wait_than_may(ahead: int) -> None:
    taken, given = threading.Semaphore(0), []

    def deal(items: Iterator[int]) -> None:
        for _ in items:
            taken.acquire()

    def hand_over() -> None:
        with beside(deal, ahead) as give:
            for number in range(10):
                give(number)
                given.append(number)

    handing = threading.Thread(target=hand_over)
    handing.start()
    until = time.monotonic() + 60
    while len(given) <= ahead and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(0.05)  # for one too many to come
    assert len(given) == ahead + 1  # one is being dealt with
    taken.release(10)
    handing.join()
    assert len(given) == 10


def hand_over(deal: Callable[[Iterator[int]], object], count: int) -> None:
    with beside(deal) as give:
        for number in range(count):
            give(number)


@pytest.mark.parametrize("count", [1, 5])
def test_what_is_raised_there_is_raised_here(count: int) -> None:
    def deal(items: Iterator[int]) -> None:
        next(items)
        raise ValueError("the disk is on fire")

    with pytest.raises(ValueError, match="on fire"):
        hand_over(deal, count)


def test_what_is_raised_after_the_last_item_is_raised_here() -> None:
    def deal(items: Iterator[int]) -> None:
        assert list(items) == [0, 1]
        raise ValueError("the disk is full")

    with pytest.raises(ValueError, match="full"):
        hand_over(deal, 2)


@pytest.mark.parametrize("count", [1, 2, 9])
def test_who_reads_no_further_keeps_nobody_waiting(count: int) -> None:
    with pytest.raises(RuntimeError, match="before its items"):
        hand_over(next, count)


def test_an_error_here_ends_what_is_half_done_there() -> None:
    begun, put_away = threading.Event(), []

    def deal(items: Iterator[int]) -> None:
        try:
            for _ in items:
                begun.set()
        except BaseException:
            put_away.append(True)
            raise

    def stopped() -> None:
        with beside(deal) as give:
            give(0)
            assert begun.wait(60)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert put_away == [True]


@pytest.mark.parametrize("broken", ["first", "last"])
def test_a_chain_ends_wherever_it_breaks(broken: str) -> None:
    def last(items: Iterator[int]) -> None:
        for _ in items:
            if broken == "last":
                raise ValueError("last is broken")

    def chain() -> None:
        with beside(last) as to_last:

            def first(items: Iterator[int]) -> None:
                for item in items:
                    if broken == "first" and item == 3:
                        raise ValueError("first is broken")
                    to_last(item)

            with beside(first) as to_first:
                for number in range(9):
                    to_first(number)

    with pytest.raises(ValueError, match=f"{broken} is broken"):
        chain()
