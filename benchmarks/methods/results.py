"""What the comparison found, small enough to keep: for each run, which images were right."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from arms import Arm

from sipo.common.files.text import read_text
from sipo.common.files.writing import write_text
from sipo.common.statistics import OVERALL, Tally, means
from sipo.geneval.results import read_rows, tally
from sipo.train.monitor.log_rows import read_rows as read_log

BASE = "base"
SUITES = {"validation": "mini-validation", "test": "mini"}
"""Settings are chosen on the first, and the second is reported."""
AT_THE_END = ("psi_w", "psi_l", "keep", "implicit_acc", "error_w", "ref_error_w")
QUARTER = 4


@dataclass(frozen=True)
class Job:
    """One arm with one seed; no arm: the base."""

    name: str
    seed: int
    arm: Arm | None

    def folder(self, out: Path) -> Path:
        slug = re.sub(r"[^a-z0-9.]+", "-", self.name.lower().replace(">=", "from")).strip("-")
        return out / slug / f"seed-{self.seed}"


class Results:
    """`path` holds the settings and, by arm and seed, the correct images of every prompt.

    Raises ValueError for other settings.
    """

    def __init__(self, path: Path, settings: dict[str, Any]) -> None:
        self.path, self.settings = path, settings
        self.arms: dict[str, dict[str, Any]] = {}
        if path.is_file():
            found = json.loads(read_text(path))
            if found["settings"] != settings:
                raise ValueError(f"{path} was made with {found['settings']}, not {settings}")
            self.arms = found["arms"]

    def has(self, name: str, seed: int) -> bool:
        return str(seed) in self.arms.get(name, {})

    def add(self, job: Job, folder: Path, cpu_s: float) -> None:
        """The evaluations of a run and how its training went; written at once."""
        summary = json.loads(read_text(folder / "test" / "summary.json"))
        entry: dict[str, Any] = {suite: correct_of(folder / suite) for suite in SUITES}
        entry |= {"empty_share": summary["empty_share"], "cpu_s": round(cpu_s, 1)}
        entry |= {"sharpness": summary.get("sharpness")}
        if job.arm and job.arm.steps:
            entry |= {"options": job.arm.options, **at_the_end(folder / "train")}
        self.arms.setdefault(job.name, {})[str(job.seed)] = entry
        kept = {"settings": self.settings, "arms": self.arms}
        write_text(self.path, json.dumps(kept, indent=1))

    def mean(self, name: str, key: str) -> float:
        """Of a number that every seed has."""
        return float(fmean(entry[key] for entry in self.arms[name].values()))

    def overall(self, name: str, suite: str, seed: int | None = None) -> float:
        return means(self.pooled(name, suite, None if seed is None else [str(seed)]))[OVERALL]

    def pooled(self, name: str, suite: str = "test", seeds: list[str] | None = None) -> Tally:
        """The images of all seeds, or of those, by prompt."""
        entries = [self.arms[name][seed] for seed in (seeds or sorted(self.arms[name]))]
        together: Tally = {}
        for tag in entries[0][suite]:
            columns = zip(*(entry[suite][tag] for entry in entries), strict=True)
            images = len(entries) * self.settings["images"]
            together[tag] = {
                str(place): (sum(map(int, digits)), images) for place, digits in enumerate(columns)
            }
        return together

    def seeds(self, name: str) -> list[str]:
        return sorted(self.arms.get(name, {}))


def correct_of(evaluation: Path) -> dict[str, str]:
    """{tag: one digit a prompt, prompts sorted}."""
    counts = tally(read_rows(evaluation / "results.jsonl"))
    return {
        tag: "".join(str(correct) for correct, _ in prompts.values())
        for tag, prompts in counts.items()
    }


def at_the_end(run: Path) -> dict[str, Any]:
    """Means over the last quarter of a training's log, of what it has: `sft` has no rewards; and
    its looks, as [step, Overall, empty_share]."""
    rows = read_log(run / "log.jsonl")
    last = rows[-max(1, len(rows) // QUARTER) :]
    names = [name for name in AT_THE_END if name in last[-1]]
    found: dict[str, Any] = {name: round(fmean(row[name] for row in last), 5) for name in names}
    looks = [(row["step"], row["validation"]) for row in rows if "validation" in row]
    if looks:
        found["looks"] = [
            [step, round(look["overall"], 4), round(look["empty_share"], 4)] for step, look in looks
        ]
    return found | {"steps": rows[-1]["step"]}
