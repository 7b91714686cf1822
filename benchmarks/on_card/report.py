"""What was measured, kept after every measurement: a failure is a result and ends nothing else."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch

from sipo.common.files.writing import write_json
from sipo.common.fitting_batches import give_back_memory

Figures = dict[str, object]

AGAIN_S = 5  # a first ring may come where Python swallows what is raised, as in a __del__


class OutOfTimeError(BaseException):
    """No Exception: what measures may catch those."""


@dataclass
class Report:
    """`results` is part -> name -> figures, or {"failed": first line of the error}."""

    out: Path
    meta: Figures
    results: dict[str, dict[str, Figures]] = field(default_factory=dict)

    def part(self, name: str, seconds: float, run: Callable[[Report], None]) -> None:
        """Measure `run`, which is interrupted after `seconds`."""
        self.current = self.results.setdefault(name, {})
        self.running = "its start"
        began = time.perf_counter()
        try:
            with time_limit(seconds):
                run(self)
        except OutOfTimeError:
            over = f"the part's {seconds:.0f} s were over during {self.running!r}"
            self.keep("(rest)", {"failed": over})
        except Exception as error:
            self.keep("(rest)", {"failed": first_line(error)})
        self.keep("(part)", {"seconds": round(time.perf_counter() - began, 1)})

    def measure(self, name: str, run: Callable[[], Figures]) -> None:
        """One measurement with the card's memory to itself."""
        free_memory()
        self.running = name
        try:
            figures = run()
        except Exception as error:
            figures = {"failed": first_line(error)}
        self.keep(name, figures)

    def keep(self, name: str, figures: Figures) -> None:
        self.current[name] = figures
        print(f"{name}: {shown(figures)}", flush=True)
        write_json(self.out, self.meta | {"parts": self.results}, indent=2, sort_keys=False)

    def table(self) -> str:
        return "\n".join(
            f"{part:9} {name:30} {shown(figures)}"
            for part, measured in self.results.items()
            for name, figures in measured.items()
        )


def shown(figures: Figures) -> str:
    rounded = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in figures.items()}
    return ", ".join(f"{name} {value}" for name, value in rounded.items())


def first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0] if lines else ''}"


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raises OutOfTimeError inside, between two operations."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.01), AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def free_memory() -> None:
    give_back_memory()
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_gb() -> float | None:
    """Most memory that tensors had since `free_memory`, in 1e9 bytes; None on a CPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None


def now() -> float:
    """Seconds, all work that was asked for done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()
