"""One command by several processes of this machine, a card or a part of the cores each.

torch's launchers end all processes when one fails, as training must; here those that are left make
what it had begun. Under torchrun, `accelerate launch`, srun or in a Slurm array the processes are
there already, and none is started.
"""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import NoReturn, cast

from tqdm import tqdm

from sipo.common.processes import this_process
from sipo.common.shared_work import tell_of_pieces
from sipo.common.spawning import end_with, environment, without_script


def processes_for(asked: str, device: str, loaded: bool = False) -> int:
    """How many to start: 1 where this process is to do the work itself, as it is where it was
    launched beside others, or where a model of it is `loaded` here.

    Raises ValueError for several that cannot be: then, with more cards than there are, and on one
    that `device` names.
    """
    launched = this_process().count
    if launched > 1 and asked not in ("auto", "1"):
        raise ValueError(
            f"--devices {asked} has no effect on one of {launched} processes that were launched "
            "together; leave it out"
        )
    if loaded and asked not in ("auto", "1"):
        raise ValueError(
            f"--devices {asked} needs model and judge by name, which every process loads, and one "
            "is loaded here; leave it out, or give names"
        )
    if launched > 1 or loaded or asked == "1" or (device == "cpu" and asked == "auto"):
        return 1
    import torch

    there = torch.cuda.device_count() if torch.cuda.is_available() and device != "cpu" else 0
    if asked == "auto":
        return there if there and device in ("auto", "cuda") else 1
    count = int(asked)
    if there and device.startswith("cuda:"):
        raise ValueError(f"--devices {count} and --device {device} contradict; leave one out")
    if there and count > there:
        raise ValueError(f"--devices {count} is more than the {there} there are; give auto")
    return count


def run_processes(count: int, work: Callable[[], object], progress: bool = True) -> None:
    """`work` by each of `count` new processes, with a bar over what they share.

    `work` must pickle. What one raises is raised here, when the others have been ended;
    where one is killed the others go on. Raises ChildProcessError where all were.
    """
    spawned = get_context("spawn")
    running: dict[Connection, SpawnProcess] = {}
    killed = 0
    try:
        for rank in range(count):
            ours, theirs = spawned.Pipe(duplex=False)
            with without_script(), environment(_place_of(rank, count)):
                running[ours] = spawned.Process(target=_one, args=(work, theirs, os.getpid()))
                running[ours].start()
            theirs.close()
        with _Bar(count, progress) as bar:
            while running:
                for end in cast("list[Connection]", wait(list(running))):
                    try:
                        told = end.recv()
                    except EOFError:
                        process = running.pop(end)
                        process.join()
                        killed += process.exitcode != 0
                        continue
                    if isinstance(told, BaseException):
                        raise told
                    bar.take(*told)
    finally:
        for process in running.values():
            process.terminate()
            process.join()
    if killed == count:
        raise ChildProcessError(
            "all processes were killed, most likely for want of memory; set --devices or "
            "--batch-size lower and run the same command again"
        )
    if killed:
        tqdm.write(f"{killed} of {count} processes died; the others did its work", sys.stderr)


class _Bar:
    """Over the pieces that one stage after the other shares out, counted once whoever made them."""

    def __init__(self, count: int, shown: bool) -> None:
        self._count, self._shown = count, shown
        self._kind, self._made = "", set[int]()
        self._bar: tqdm[NoReturn] | None = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def take(self, kind: str, left: int, made: int | None) -> None:
        """`left` of that kind as the process began with it; `made`, one's number."""
        if kind != self._kind:
            self.__exit__()
            self._kind, self._made = kind, set()
            by = f"{self._count} processes"
            self._bar = tqdm(total=left, unit=kind, desc=by, disable=not self._shown)
        assert self._bar is not None
        if made is not None and made not in self._made:
            self._made.add(made)
            self._bar.update()


def _place_of(rank: int, count: int) -> dict[str, str]:
    """As torchrun says it; the cores are shared evenly."""
    here = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    said = {name: str(value) for name, value in here.items()}
    cores = max(1, len(os.sched_getaffinity(0)) // count) if sys.platform == "linux" else 1
    return {"OMP_NUM_THREADS": str(cores), "TQDM_DISABLE": "1", **said}


def _one(work: Callable[[], object], told: Connection, parent: int) -> None:
    end_with(parent)
    tell_of_pieces(lambda *news: told.send(news))
    try:
        work()
    except KeyboardInterrupt:  # the parent has it too
        raise SystemExit(1) from None
    except Exception as error:
        told.send(_that_pickles(error))
        raise SystemExit(1) from None


def _that_pickles(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error
