"""What the comparison found, small enough to keep: for each run, which images were right."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from sipo.common.files.text import read_text
from sipo.common.files.writing import write_text
from sipo.geneval.results import Tally, read_rows, tally
from sipo.train.monitor.log_rows import read_rows as read_log

BASE = "base"
AT_THE_END = ("psi_w", "psi_l", "keep", "implicit_acc", "error_w", "ref_error_w")
QUARTER = 4


@dataclass(frozen=True)
class Job:
    """One arm with one seed; `options` are those of sipo-train, None for the base."""

    arm: str
    seed: int
    options: str | None
    steps: int

    def folder(self, out: Path) -> Path:
        slug = re.sub(r"[^a-z0-9.]+", "-", self.arm.lower().replace(">=", "from")).strip("-")
        return out / slug / f"seed-{self.seed}"


class Results:
    """`path` holds the settings and, by arm and seed, the correct images of every prompt.

    `correct` is {tag: one digit a prompt, prompts sorted}. Raises ValueError for other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.arms: dict[str, dict[str, Any]] = {}
        if path.is_file():
            found = json.loads(read_text(path))
            if found["settings"] != settings:
                raise ValueError(f"{path} was made with {found['settings']}, not {settings}")
            self.arms = found["arms"]

    def has(self, job: Job) -> bool:
        return str(job.seed) in self.arms.get(job.arm, {})

    def add(self, job: Job, folder: Path) -> None:
        """The evaluation of a run and how its training ended; written at once."""
        counts = tally(read_rows(folder / "eval" / "results.jsonl"))
        summary = json.loads(read_text(folder / "eval" / "summary.json"))
        entry: dict[str, Any] = {
            "correct": {
                tag: "".join(str(correct) for correct, _ in prompts.values())
                for tag, prompts in counts.items()
            },
            "empty_share": summary["empty_share"],
        }
        if job.options is not None:
            entry |= {"options": job.options, "steps": job.steps} | at_the_end(folder / "train")
        self.arms.setdefault(job.arm, {})[str(job.seed)] = entry
        kept = {"settings": self.settings, "arms": self.arms}
        write_text(self.path, json.dumps(kept, indent=1))

    def mean(self, arm: str, name: str) -> float:
        """Of a number that every seed has."""
        values = [entry[name] for entry in self.arms[arm].values()]
        return float(sum(values) / len(values))

    def has_rewards(self, arm: str) -> bool:
        return all("psi_w" in entry for entry in self.arms[arm].values())

    def pooled(self, arm: str) -> Tally:
        """The images of all seeds, by prompt."""
        entries = self.arms[arm].values()
        together: Tally = {}
        for tag in next(iter(entries))["correct"]:
            columns = zip(*(entry["correct"][tag] for entry in entries), strict=True)
            images = len(entries) * self.settings["images"]
            together[tag] = {
                str(place): (sum(map(int, digits)), images) for place, digits in enumerate(columns)
            }
        return together

    def seeds(self, arm: str) -> int:
        return len(self.arms.get(arm, {}))


def at_the_end(run: Path) -> dict[str, float]:
    """Means over the last quarter of a training's log, of what it has: `sft` has no rewards."""
    rows = read_log(run / "log.jsonl")
    last = rows[-max(1, len(rows) // QUARTER) :]
    names = [name for name in AT_THE_END if name in last[-1]]
    return {name: round(fmean(row[name] for row in last), 5) for name in names}
