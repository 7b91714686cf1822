"""A Ray cluster: the one that RAY_ADDRESS names, or one that is started for a command."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import FrameType
from typing import Any

from sipo.common.errors import Terminated, reason_of

PATIENCE_S = 60.0
STORE_BYTES = 200_000_000
"""For what workers send each other, which is little: pictures of a batch, at most."""


@dataclass(frozen=True)
class Share:
    """Of a node, for one worker."""

    cpus: float
    gpus: float

    @classmethod
    def with_gpus(cls, gpus: float) -> Share:
        """A core beside them: it starts kernels and writes files."""
        return cls(1, gpus)

    def options(self) -> dict[str, float]:
        return {"num_cpus": self.cpus, "num_gpus": self.gpus}

    def __str__(self) -> str:
        cards = f" and {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus:g} CPU{cards}"

    def fits_in(self, node: Mapping[str, float]) -> int:
        """How many a node holds; a part of a card is of one card."""
        by_cpus = int(node.get("CPU", 0) // self.cpus)
        cards = node.get("GPU", 0)
        if not self.gpus:
            return by_cpus
        by_gpus = int(cards) * int(1 / self.gpus) if self.gpus < 1 else int(cards // self.gpus)
        return min(by_cpus, by_gpus)


@dataclass(frozen=True)
class Cluster:
    """`ray` is the module, connected; what is started for a command stays as large as it is."""

    ray: Any
    may_grow: bool = True

    def nodes(self) -> list[Mapping[str, float]]:
        """Resources of those that are alive now."""
        return [node["Resources"] for node in self.ray.nodes() if node["Alive"]]

    @property
    def has_cards(self) -> bool:
        return any(node.get("GPU", 0) >= 1 for node in self.nodes())

    def wait_for(self, answers: list[Any], whose: str) -> None:
        """Says once whose answers are long in coming."""
        _, missing = self.ray.wait(answers, num_returns=len(answers), timeout=PATIENCE_S)
        if missing:
            say(f"still waiting for {whose}, to be started by the cluster and to load")
            self.ray.wait(missing, num_returns=len(missing))

    def room_for(self, share: Share, others: Share | None = None, count: int = 0) -> int:
        """Workers that its nodes hold beside `count` others; one at least where it may grow.

        Raises ValueError where there is no room and will be none.
        """
        room = sum(share.fits_in(node) for node in self.nodes())
        if others and share.gpus >= 1 and others.gpus:
            room -= ceil(ceil(others.gpus * count) / share.gpus)
        elif others and not share.gpus and not others.gpus:
            room -= count
        if room < 1 and not self.may_grow:
            beside = f" beside {count} for the judge, each of {others}" if others else ""
            raise ValueError(
                f"this machine has no room for a worker, which needs {share}{beside}; set "
                "--gpus-per-worker or --judge-gpus lower, or RAY_ADDRESS to a larger cluster"
            )
        return max(1, room)


def say(sentence: str) -> None:
    """On standard error, beside a bar."""
    logging.getLogger(__name__).warning(sentence)


@contextmanager
def connected() -> Iterator[Cluster]:
    """Raises ValueError where the cluster cannot be reached. Ray is there: `check_runner`."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    import ray

    if ray.is_initialized():  # whoever did that ends it
        yield Cluster(ray)
        return
    with _own_sigterm() as take_back:
        try:
            is_named = _connect(ray)
            take_back()
            yield Cluster(ray, may_grow=is_named)
        finally:
            ray.shutdown()


@contextmanager
def _own_sigterm() -> Iterator[Callable[[], object]]:
    """Ray takes the signal when it connects, what is yielded takes it back; and where Ray makes a
    Ctrl-C of it, as it does of whatever stops its waiting, `Terminated` is raised."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    before, seen = signal.getsignal(signal.SIGTERM), list[int]()

    def terminate(number: int, frame: FrameType | None) -> None:
        seen.append(number)
        raise Terminated

    try:
        yield lambda: signal.signal(signal.SIGTERM, terminate)
    except KeyboardInterrupt as stop:
        if seen and not isinstance(stop, Terminated):
            raise Terminated from stop
        raise
    finally:
        signal.signal(signal.SIGTERM, before)


def _connect(ray: Any) -> bool:
    """Whether it is one that was there."""
    said = {"log_to_driver": False, "logging_level": logging.ERROR}
    address = os.environ.get("RAY_ADDRESS")
    if not address:
        alone = {"include_dashboard": False, "object_store_memory": STORE_BYTES}
        try:
            ray.init(address="local", **alone, **said)
        except Exception as error:  # it raises that
            raise ChildProcessError(
                f"Ray cannot be started on this machine ({reason_of(error)}); run the same command "
                "again when it is less busy, or name a cluster by RAY_ADDRESS"
            ) from None
        return False
    try:
        ray.init(address=address, **said)
        return True
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"RAY_ADDRESS {address!r} cannot be reached ({reason_of(error)}); start a cluster "
            "there with `ray start --head`, or unset it to use this machine alone"
        ) from None
