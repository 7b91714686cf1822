"""One run on the cores of a CPU: processes of one thread each that share every batch.

Small networks keep one thread busy and make two wait for each other (docs/log.md). Imports take
longer than a short run: one process makes them and computes nothing, those that train are its
forks.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path

from torch import multiprocessing
from torch.multiprocessing.spawn import ProcessContext, ProcessExitedException, start_processes

from sipo.common.cpu_workers import workers_for
from sipo.common.devices import find_device
from sipo.common.quiet_libraries import no_collection, no_loading_bars
from sipo.common.spawning import end_with, environment, without_script
from sipo.train.checkpoint_files import RunSummary, summary_of
from sipo.train.settings import TrainSettings
from sipo.train.stopping import Stopping, deaf, held_back

Group = dict[str, str]
"""What tells processes of one another, as environment variables."""

IMPORTED = ("sipo.train.trainer", "peft", "sipo.backbones.images.stable_diffusion")
"""Most of what a run imports; what another family needs beside it each process imports itself."""


@dataclass(frozen=True)
class Work:
    """What the processes that train are given: `raised` goes back, `told` asks them to stop."""

    settings: TrainSettings
    group: Group
    raised: SimpleQueue[BaseException]
    told: Event


def train_on_cores(settings: TrainSettings) -> RunSummary:
    """`train` by `settings.workers` processes; what they raise is raised here."""
    if settings.workers == 1 or "RANK" in os.environ:  # launched: the processes are there
        with no_collection():
            from sipo.train.trainer import train

        return train(settings)
    count = workers_for(find_device("auto").type, settings.workers)
    batch = settings.train_batch_size
    if batch % count:
        raise ValueError(
            f"--workers {count} cannot share --train_batch_size {batch} evenly; give a multiple"
        )
    share = settings.model_copy(update={"train_batch_size": batch // count, "workers": 1})
    spawned = multiprocessing.get_context("spawn")
    raised, told = spawned.SimpleQueue(), spawned.Event()
    with Stopping(pass_on=told.set) as stopping:
        try:
            work = Work(share, _group(count), raised, told)
            with without_script(), environment({"OMP_NUM_THREADS": "1"}):
                _run("spawn", _import_and_fork, 1, (count, work, os.getpid()))
        except ProcessExitedException:
            if raised.empty():
                raise ChildProcessError(
                    "a training process was killed, most likely for want of memory; set --workers "
                    "or --train_batch_size lower and run the same command again"
                ) from None
            error = raised.get()
            stopped = isinstance(error, KeyboardInterrupt)
            raise stopping.interrupt(str(error)) if stopped else error from None
    return summary_of(Path(settings.out))


def _group(count: int) -> Group:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _run(method: str, work: Callable[..., None], count: int, arguments: tuple[object, ...]) -> None:
    """`work` in processes that end together: when one fails the others would wait for ever."""
    start: Callable[..., ProcessContext] = start_processes
    with held_back():
        started = start(work, arguments, count, join=False, start_method=method)
    join: Callable[..., bool] = started.join
    try:
        while not join(grace_period=0):
            pass
    finally:
        for process in started.processes:
            if process.is_alive():
                process.kill()
            process.join()


def _import_and_fork(_: int, count: int, work: Work, parent: int) -> None:
    """Threads would not survive the fork, and an import starts none."""
    deaf()
    end_with(parent)
    no_loading_bars()
    with no_collection():
        for module in IMPORTED:
            import_module(module)
    try:
        _run("fork", _train, count, (work, os.getpid()))
    except ProcessExitedException:  # why is in `work.raised`
        raise SystemExit(1) from None


def _train(rank: int, work: Work, parent: int) -> None:
    deaf()
    end_with(parent)
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"}
    os.environ |= work.group | ranks
    import torch

    from sipo.train.trainer import train

    torch.set_num_threads(1)
    try:
        train(work.settings, stopping=Stopping(work.told))
    except (ValueError, OSError, FloatingPointError, KeyboardInterrupt) as error:
        work.raised.put(error)
        raise SystemExit(1) from None
