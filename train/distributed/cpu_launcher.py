"""One run on the cores of a CPU: processes of one thread each that share every batch.

Small networks keep one thread busy and make two wait for each other (docs/log.md).
"""

from __future__ import annotations

import multiprocessing
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from sipo.common.cpu_workers import end_with, workers_for
from sipo.common.devices import find_device
from sipo.train.settings import TrainSettings
from sipo.train.stopping import Stopping, deaf, held_back


def train_on_cores(settings: TrainSettings) -> dict[str, Any]:
    """`train` by `settings.workers` processes; what they raise is raised here."""
    from sipo.train.checkpoints import summary
    from sipo.train.trainer import train

    if settings.workers == 1 or "RANK" in os.environ:  # launched: the processes are there
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
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    group = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    processes = [
        spawned.Process(target=_work, args=(share, group, rank, os.getpid(), raised, told))
        for rank in range(count)
    ]
    try:
        with Stopping(pass_on=told.set) as stopping:
            with _environment(OMP_NUM_THREADS="1"), held_back():
                for process in processes:
                    process.start()
            running: dict[Any, Any] = {process.sentinel: process for process in processes}
            while running:
                for sentinel in wait(list(running)):
                    if running.pop(sentinel).exitcode:  # the others would wait for it for ever
                        running.clear()
        if not raised.empty():
            error = raised.get()
            stopped = isinstance(error, KeyboardInterrupt)
            raise stopping.interrupt(str(error)) if stopped else error
        if any(process.exitcode for process in processes):
            raise ChildProcessError(
                "a training process was killed, most likely for want of memory; set --workers or "
                "--train_batch_size lower and run the same command again"
            )
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            if process.pid:
                process.join()
    return summary(Path(settings.out))


@contextmanager
def _environment(**ours: str) -> Iterator[None]:
    """What started processes find. Set before PyTorch is there, the number of threads changes the
    rounding; and ultralytics sets it when a judge was loaded, so chance must not decide it.
    """
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(
    settings: TrainSettings, group: dict[str, str], rank: int, parent: int, raised: Any, told: Any
) -> None:
    deaf()
    end_with(parent)
    os.environ |= group | {"RANK": str(rank), "LOCAL_RANK": str(rank), "ACCELERATE_USE_CPU": "true"}
    import torch

    from sipo.train.trainer import train

    torch.set_num_threads(1)
    try:
        train(settings, stopping=Stopping(told))
    except (ValueError, OSError, FloatingPointError, KeyboardInterrupt) as error:
        raised.put(error)
        raise SystemExit(1) from None
