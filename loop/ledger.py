"""Which stages are done and how long they took, over every interruption."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from sipo.common.files.text import read_json
from sipo.common.files.writing import write_json

BEAT_S = 5.0


class Attempts(NamedTuple):
    """Of one stage: seconds of all of them, and whether the last one ended it."""

    seconds: float = 0.0
    done: bool = False


class Ledger:
    """`stages.json`: {stage: {"seconds": of all attempts, "done": bool}}.

    The time is written every `BEAT_S` seconds, so that a killed process loses no more than that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stages = _read(path) if path.exists() else {}

    def run(self, stage: str, result: Path, work: Callable[[], object]) -> bool:
        """Do the work, unless it is done and the `result` it writes last is there: whether it was
        to do.

        What the work raises is passed on, its time is kept.
        """
        attempts = self._stages.get(stage, Attempts())
        if attempts.done and result.exists():
            return False
        self._reopen_later(stage)
        start = time.monotonic()
        ended = threading.Event()

        def note(done: bool) -> None:
            elapsed = attempts.seconds + time.monotonic() - start
            self._stages[stage] = Attempts(round(elapsed, 1), done)
            rows = {name: attempts._asdict() for name, attempts in self._stages.items()}
            write_json(self.path, rows, indent=2, sort_keys=False)  # in the order of work

        def beat() -> None:
            while not ended.wait(BEAT_S):
                note(done=False)

        heart = threading.Thread(target=beat, daemon=True)
        heart.start()
        finished = False
        try:
            work()
            finished = True
        finally:
            ended.set()
            heart.join()
            note(done=finished)
        return True

    def _reopen_later(self, stage: str) -> None:
        """What was made from this stage's earlier result is looked at again."""
        names = list(self._stages)
        for name in names[names.index(stage) + 1 :] if stage in names else []:
            self._stages[name] = self._stages[name]._replace(done=False)

    def minutes(self, stage: str) -> float:
        """Of a stage, with its parts: "train, steps 200" is one of "train"."""
        parts = [each for name, each in self._stages.items() if name.split(", ")[0] == stage]
        return sum(each.seconds for each in parts) / 60


def _read(path: Path) -> dict[str, Attempts]:
    """Raises ValueError for a damaged file; the stages themselves know what of them is done."""
    try:
        rows = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; remove it, and the stages say what is done") from None
    stages = {}
    for name, row in rows.items():
        seconds = row.get("seconds", 0.0) if isinstance(row, dict) else None
        if not isinstance(seconds, int | float):
            raise ValueError(f"{str(path)!r}: {name} is {row!r}; remove the file, and go on")
        stages[name] = Attempts(seconds, bool(row.get("done")))
    return stages
