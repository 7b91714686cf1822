"""A map over forked processes: in order, with its errors, and gone when its parent is."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
import torch

from sipo.common.cpu_workers import spread, workers_for

SCRIPT = """
import os, time
from sipo.common.cpu_workers import spread
def work(item):
    os.write(1, b"%d\\n" % os.getpid())  # at once: two write here
    time.sleep(60)
with spread(work, 2) as mapped:
    list(mapped(range(2)))
"""


def test_order_is_kept_and_each_worker_has_one_thread() -> None:
    def work(item: int) -> tuple[int, int, torch.Tensor]:
        time.sleep(0.05 * (item % 2 == 0))  # the even ones end last
        return item, torch.get_num_threads(), torch.full((2,), float(item))

    with spread(work, 2) as mapped:
        found = list(mapped(range(5)))
        again = list(mapped(range(2)))  # the same processes serve again
    assert [item for item, _, _ in found] == [0, 1, 2, 3, 4]
    assert {threads for _, threads, _ in found} == {1}
    assert [int(tensor[0]) for _, _, tensor in found] == [0, 1, 2, 3, 4]
    assert len(again) == 2


def test_one_worker_is_this_process() -> None:
    with spread(lambda item: os.getpid(), 1) as mapped:
        assert list(mapped([0])) == [os.getpid()]


def test_an_error_is_raised_here() -> None:
    def work(item: int) -> None:
        raise ValueError(f"item {item} is wrong")

    with spread(work, 2) as mapped, pytest.raises(ValueError, match="item 0 is wrong"):
        list(mapped([0]))


def test_a_killed_worker_is_said_with_a_remedy() -> None:
    def work(item: int) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with spread(work, 2) as mapped, pytest.raises(ChildProcessError, match="--batch-size lower"):
        list(mapped([0]))


def test_workers_end_with_their_parent() -> None:
    parent = subprocess.Popen([sys.executable, "-c", SCRIPT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(parent.stdout.readline()) for _ in range(2)]
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 10
    while any(is_running(pid) for pid in workers) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in workers)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_gpu_is_one_processs_own() -> None:
    assert workers_for("cuda") == 1
    if not torch.cuda.is_available():
        assert workers_for("cpu", 3) == 3
    with pytest.raises(ValueError, match=re.escape("--workers 2 needs Linux and no GPU")):
        workers_for("cuda", 2)


def test_workers_end_in_the_middle_of_an_item() -> None:
    """A batch of a large model takes minutes on a CPU; nobody waits for it after Ctrl-C."""

    def seconds() -> Iterator[int]:
        yield from (60, 60, 60, 60)
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), spread(time.sleep, 2) as mapped:
        list(mapped(seconds()))
    assert time.monotonic() - started < 30
    assert multiprocessing.active_children() == []
