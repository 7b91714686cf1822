"""What a running loop does now, and its page, for who watches it."""

from __future__ import annotations

import re
import time
from pathlib import Path

from sipo.common.files.text import read_json
from sipo.loop.ledger import BEAT_S
from sipo.loop.report import LOOP, read_result, report
from sipo.pages.html import render
from sipo.pages.live_server import State
from sipo.train.monitor.log_rows import read_rows

QUIET_S = 6 * BEAT_S  # after which no loop is at work
AT_WORK, STOPPED = "Now", "Stopped"
_STAGE = re.compile(r"round-(\d+)/(shards|train|eval-judge|eval|test)(?:-(\d+))?")
_WORK = {
    "shards": "samples and judges candidates",
    "train": "trains",
    "eval": "evaluates",
    "eval-judge": "lets the judge that gives reward see the evaluated images",
    "test": "is tested",
}


class LoopPage:
    """Of the loop in folder `out`, which may be just begun, stopped or done."""

    def __init__(self, out: Path) -> None:
        self.out = out

    def state(self) -> State:
        path = self.out / LOOP
        return State(str(path.stat().st_mtime_ns) if path.is_file() else "", now(self.out))

    def html(self) -> str:
        said = now(self.out)
        if (self.out / LOOP).is_file():
            goes_on = said.startswith((AT_WORK, STOPPED))
            return report(self.out, read_result(self.out), said, goes_on)
        return render(Path(__file__).with_name("waiting.html"), title="sipo-loop", live=said)


def now(out: Path) -> str:
    """One sentence: the stage at work, how far it is, how long it has taken."""
    path = out / "stages.json"
    if not path.is_file():
        return "The loop has not begun."
    stages = read_json(path)
    done = sum(bool(stage["done"]) for stage in stages.values())
    open_ones = [name for name, stage in stages.items() if not stage["done"]]
    if not open_ones:
        return f"No stage is at work; done: {done}."
    name = open_ones[-1]
    said = f"{_in_words(name)}{_progress(out, name)}, {stages[name]['seconds'] / 60:.1f} minutes"
    if time.time() - path.stat().st_mtime > QUIET_S:
        return f"{STOPPED}, and goes on with the same command: {said}."
    return f"{AT_WORK}: {said} so far; stages done: {done}."


def _in_words(stage: str) -> str:
    found = _STAGE.match(stage)
    if not found:
        return stage
    number, work, again = found.groups()
    who = f"round {number}" if number != "0" else "the base"
    return f"{who} {_WORK[work]}" + (" again" if again else "")


def _progress(out: Path, stage: str) -> str:
    """Of a training, from its log."""
    folder = out / stage.partition(",")[0]
    found = _STAGE.match(stage)
    rows = read_rows(folder / "log.jsonl") if found and found[2] == "train" else []
    if not rows:
        return ""
    asked = read_json(out / "config.json").get("max_train_steps")
    return f", step {rows[-1]['step']:,}" + (f" of {asked:,}" if isinstance(asked, int) else "")
