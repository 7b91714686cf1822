"""Threads that keep the order, take no more than they may, and raise in turn."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Iterator

import pytest

from sipo.common.ordered_threads import in_order, threads_for
from sipo.common.pictures.quiet import quiet_pillow


def test_results_come_in_order_from_several_threads() -> None:
    at_once = threading.Barrier(3, timeout=10)

    def work(item: int) -> int:
        if item < 3:
            at_once.wait()  # which one thread alone would never pass
        time.sleep(0.01 * (item % 3 == 0))
        return -item

    assert list(in_order(work, range(20), threads=3, ahead=6)) == [-item for item in range(20)]


@pytest.mark.parametrize(("most", "ahead"), [(10**9, 4), (25, 3)])
def test_no_more_is_taken_ahead_than_may_be(most: int, ahead: int) -> None:
    """By number, or by what they weigh: ten each, and three are more than 25."""
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for item in range(20):
            taken += 1
            yield item

    results = in_order(abs, items(), threads=2, ahead=4, size_of=lambda _: 10, most=most)
    for passed, _ in enumerate(results):
        assert taken <= passed + ahead
    assert taken == 20


def test_one_that_weighs_more_than_may_wait_is_taken_alone() -> None:
    assert list(in_order(abs, [1, 2], threads=2, ahead=4, size_of=lambda _: 10, most=1)) == [1, 2]


@pytest.mark.parametrize("threads", [1, 3])
def test_what_taking_raises_comes_behind_the_items_before(threads: int) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise ValueError("broken off")

    results = in_order(abs, items(), threads, ahead=10)
    assert [next(results) for _ in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="broken off"):
        next(results)


def test_what_work_raises_comes_in_its_turn_and_ends_it() -> None:
    begun: list[int] = []

    def work(item: int) -> int:
        begun.append(item)
        return 1 // (item - 4)

    results = in_order(work, range(10**6), threads=2, ahead=4)
    assert [next(results) for _ in range(4)] == [-1, -1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert max(begun) < 20


def test_closed_early_it_leaves_no_thread() -> None:
    before = threading.active_count()
    results = in_order(abs, range(10**6), threads=3, ahead=6)
    assert next(results) == 0
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before


def test_as_many_as_asked() -> None:
    assert threads_for(5) == 5
    assert threads_for() >= 1


def test_threads_leave_the_filters_of_warnings_as_they_were() -> None:
    """Crosswise: the first that enters is the first that leaves."""
    before = list(warnings.filters)
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        with quiet_pillow():
            entered.set()
            left.wait(10)

    thread = threading.Thread(target=first)
    thread.start()
    assert entered.wait(10)
    with quiet_pillow():
        left.set()
        thread.join()
        warnings.warn_explicit("broken EXIF", UserWarning, "a.py", 1, module="PIL.Image")
        with pytest.warns(UserWarning, match="ours"):
            warnings.warn("ours", stacklevel=1)
    assert list(warnings.filters) == before
