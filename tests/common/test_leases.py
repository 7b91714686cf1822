"""Leases: one owner at a time, taken over from the dead and from those that no longer move."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from memory_leases import MemoryStore

from sipo.common.files.leases import FileStore, Leases, Owner, Store
from sipo.common.files.url_leases import UrlStore
from sipo.common.files.urls import UrlPath, place_of

ELSEWHERE = "another machine"


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["files", "memory", "url"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "url":
        folder = place_of(f"memory:/{tmp_path}")
        assert isinstance(folder, UrlPath)
        return UrlStore(folder)
    return FileStore(tmp_path) if request.param == "files" else MemoryStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def worker(store: Store, clock: Clock) -> Callable[[str], Leases]:
    return lambda key: Leases(store, Owner(ELSEWHERE, 1, key), clock, stale_s=60)


def test_one_has_it_until_it_lets_go(worker: Callable[[str], Leases]) -> None:
    one, other = worker("one"), worker("other")
    assert one.claim("shard-0")
    assert not other.claim("shard-0")
    assert other.claim("shard-1")
    one.release("shard-0")
    assert other.claim("shard-0")
    one.release("shard-0")  # no longer its own
    assert not one.claim("shard-0")


def test_who_does_not_move_loses_it_and_who_moves_does_not(
    worker: Callable[[str], Leases], clock: Clock
) -> None:
    dead, alive, other = worker("dead"), worker("alive"), worker("other")
    assert dead.claim("shard-0")
    assert alive.claim("shard-1")
    for _ in range(4):
        clock.now += 29
        alive.beat()
        taken = [name for name in ("shard-0", "shard-1") if other.claim(name)]
    assert taken == ["shard-0"]
    dead.beat()  # it wakes up: what is another's stays so
    dead.release("shard-0")
    assert not worker("third").claim("shard-0")


def test_time_counts_from_when_it_was_first_seen(
    worker: Callable[[str], Leases], clock: Clock
) -> None:
    """Clocks of two machines have nothing in common."""
    one = worker("one")
    assert one.claim("shard-0")
    clock.now += 1000
    late = worker("late")
    assert not late.claim("shard-0")
    clock.now += 59
    assert not late.claim("shard-0")
    clock.now += 1
    assert late.claim("shard-0")


def test_a_dead_process_of_this_machine_is_not_waited_for(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = Owner.this_process().machine
    assert Leases(FileStore(tmp_path), Owner(here, gone.pid, "gone")).claim("shard-0")
    alive = Leases(FileStore(tmp_path), Owner(here, os.getpid(), "alive"))
    assert alive.claim("shard-0")
    assert not Leases(FileStore(tmp_path)).claim("shard-0")


def test_a_damaged_lease_goes_stale(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / ".shard-0.lease").write_text("{")
    leases = Leases(FileStore(tmp_path), clock=clock, stale_s=60)
    assert not leases.claim("shard-0")
    clock.now += 60
    assert leases.claim("shard-0")


def test_without_links_it_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "link", no_links)
    one, other = Leases(FileStore(tmp_path)), Leases(FileStore(tmp_path))
    assert one.claim("shard-0")
    assert not other.claim("shard-0")
    one.release("shard-0")
    assert other.claim("shard-0")


def test_what_is_held_is_touched_and_released_at_the_end(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    leases = Leases(store)
    with leases.beating(every_s=0.01):
        assert leases.claim("shard-0")
        first = store.look("shard-0")
        ends = time.monotonic() + 10
        while store.look("shard-0") == first and time.monotonic() < ends:
            time.sleep(0.01)
        assert store.look("shard-0") != first
    assert not list(tmp_path.iterdir())


def claim_all(folder: Path, names: list[str], begin: float) -> list[str]:
    leases = Leases(FileStore(folder))
    time.sleep(max(0.0, begin - time.time()))
    return [name for name in names if leases.claim(name)]


def test_of_many_processes_each_lease_has_one(tmp_path: Path) -> None:
    names = [f"shard-{number}" for number in range(100)]
    with multiprocessing.get_context("fork").Pool(4) as pool:
        asked = [(tmp_path, names, time.time() + 0.2)] * 4
        claimed = Counter(name for got in pool.starmap(claim_all, asked) for name in got)
    assert claimed == Counter(names)
