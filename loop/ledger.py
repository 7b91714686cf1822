"""Which stages are done and how long they took, over every interruption."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sipo.common.files.text import read_json
from sipo.common.files.writing import write_json

BEAT_S = 5.0


class Ledger:
    """`stages.json`: {stage: {"seconds": of all attempts, "done": bool}}.

    The time is written every `BEAT_S` seconds, so that a killed process loses no more than that.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stages = _read(path) if path.exists() else {}

    def run(self, stage: str, result: Path, work: Callable[[], object]) -> None:
        """Do the work, unless it is done and the `result` it writes last is there.

        What the work raises is passed on, its time is kept.
        """
        if self.is_done(stage) and result.exists():
            return
        self._reopen_later(stage)
        before, start = self.seconds(stage), time.monotonic()
        ended = threading.Event()

        def note(done: bool) -> None:
            elapsed = before + time.monotonic() - start
            self._stages[stage] = {"seconds": round(elapsed, 1), "done": done}
            write_json(self.path, self._stages, indent=2, sort_keys=False)  # in the order of work

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

    def _reopen_later(self, stage: str) -> None:
        """What was made from this stage's earlier result is looked at again."""
        names = list(self._stages)
        for name in names[names.index(stage) + 1 :] if stage in names else []:
            self._stages[name]["done"] = False

    def is_done(self, stage: str) -> bool:
        return bool(self._stages.get(stage, {}).get("done"))

    def seconds(self, stage: str) -> float:
        return float(self._stages.get(stage, {}).get("seconds", 0.0))

    def minutes(self, prefix: str) -> float:
        """Of all stages whose name begins so."""
        names = [name for name in self._stages if name.startswith(prefix)]
        return sum(self.seconds(name) for name in names) / 60


def _read(path: Path) -> dict[str, Any]:
    """Raises ValueError for a damaged file; the stages themselves know what of them is done."""
    try:
        stages = read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; remove it, and the stages say what is done") from None
    for name, entry in stages.items():
        if not isinstance(entry, dict) or not isinstance(entry.get("seconds", 0.0), int | float):
            raise ValueError(f"{str(path)!r}: {name} is {entry!r}; remove the file, and go on")
    return stages
