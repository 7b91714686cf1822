"""The next batch is made beside the step, and is the one that the step asks for."""

from __future__ import annotations

import threading

import pytest

from sipo.train.data.batch_ahead import BatchAhead


class Maker:
    """Notes which positions it made, and in which threads."""

    def __init__(self, broken: int | None = None) -> None:
        self.made: list[range] = []
        self.threads: set[int] = set()
        self.broken = broken

    def __call__(self, positions: range) -> list[int]:
        self.threads.add(threading.get_ident())
        self.made.append(positions)
        if self.broken in positions:
            raise ValueError(f"pair {self.broken} is damaged")
        return list(positions)


def test_a_batch_is_made_before_it_is_asked_for() -> None:
    make = Maker()
    ahead = BatchAhead(make)
    assert [ahead(range(4 * k, 4 * k + 4)) for k in range(3)] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10, 11],
    ]
    assert ahead._made is not None
    assert ahead._made[1].result() == [12, 13, 14, 15]
    assert make.made == [range(4 * k, 4 * k + 4) for k in range(4)], "each once"
    assert threading.get_ident() not in make.threads


def test_processes_have_the_batches_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sipo.train.data.batch_ahead.rank_and_size", lambda: (1, 2))
    make = Maker()
    ahead = BatchAhead(make)
    assert ahead(range(2, 4)) == [2, 3]
    assert ahead(range(6, 8)) == [6, 7]
    assert make.made[:2] == [range(2, 4), range(6, 8)]


def test_what_was_made_for_others_is_thrown_away() -> None:
    ahead = BatchAhead(Maker(broken=2))
    assert ahead(range(0, 2)) == [0, 1]
    assert ahead(range(10, 12)) == [10, 11]


def test_a_mistake_is_raised_where_the_batch_is_asked_for() -> None:
    ahead = BatchAhead(Maker(broken=2))
    assert ahead(range(0, 2)) == [0, 1]
    with pytest.raises(ValueError, match="pair 2 is damaged"):
        ahead(range(2, 4))


def test_no_thread_stays() -> None:
    before = set(threading.enumerate())
    ahead = BatchAhead(Maker())
    ahead(range(0, 2))
    for thread in set(threading.enumerate()) - before:
        thread.join(timeout=5)
    assert set(threading.enumerate()) <= before
