"""Every method on the same candidates, at equal numbers of pairs seen, several seeds.

    python benchmarks/methods/run.py [--out runs/methods] [--steps 150] [--seeds 3] [--jobs 2]

Resumable: every stage continues itself, and what is done is not done again. A job is one process
with one thread, which on a CPU gives more together than one process with all threads.
Writes OUT/methods.md and OUT/methods.json, and OUT/curves.png of one seed's reward dynamics.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arms import ARMS, LONGER, TIMES
from tqdm import tqdm

from sipo.geneval.rows import read_rows
from sipo.geneval.statistics import OVERALL, Tally, accuracies, paired_intervals, tally
from sipo.train.plot import plot

BIN = Path(sys.executable).parent
BASE = "base"


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


def jobs(asked: argparse.Namespace) -> list[Job]:
    """Seed by seed, so that an unfinished comparison has whole rows."""
    arms: dict[str, str | None] = {BASE: None, **ARMS}
    planned = []
    for seed in range(asked.seeds):
        planned += [Job(arm, seed, options, asked.steps) for arm, options in arms.items()]
        planned += [
            Job(f"{arm}, {TIMES} x", seed, ARMS[arm], TIMES * asked.steps) for arm in LONGER
        ]
    return planned


def run(job: Job, asked: argparse.Namespace) -> None:
    here = job.folder(asked.out)
    weights = ""
    if job.options is not None:
        call(
            f"sipo-train --data {asked.out / 'shards'} --out {here / 'train'} {job.options} "
            f"--max_train_steps {job.steps} --train_batch_size {asked.batch} --rank {asked.rank} "
            f"--learning_rate {asked.lr} --lr_scheduler cosine --seed {job.seed} --report_to none "
            "--checkpointing_steps 50 --checkpoints_total_limit 1"
        )
        weights = f"--weights {here / 'train'}"
    call(
        f"sipo-geneval {weights} --images-per-prompt {asked.images} --seed {job.seed} "
        f"--judge mini-evaluator --workers 1 --out {here / 'eval'}"
    )


def call(command: str) -> None:
    name, *words = shlex.split(command)
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([BIN / name, *words], env=alone, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stderr[-2000:]}")


def pooled(asked: argparse.Namespace, arm: str) -> tuple[Tally, float, int]:
    """All seeds' images of an arm, the share of them without any object, and how many seeds."""
    done = [
        folder
        for seed in range(asked.seeds)
        if (folder := Job(arm, seed, None, 0).folder(asked.out) / "eval" / "summary.json").exists()
    ]
    rows = [row for summary in done for row in read_rows(summary.with_name("results.jsonl"))]
    empty = [json.loads(summary.read_text())["empty_share"] for summary in done]
    return tally(rows), sum(empty) / max(1, len(empty)), len(done)


def results(asked: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """By arm: Overall and tags, the gain over the base paired by prompt, what training ended at."""
    found = {}
    base, _, base_seeds = pooled(asked, BASE)
    for arm in dict.fromkeys(job.arm for job in jobs(asked)):
        counts, empty, seeds = pooled(asked, arm)
        if seeds < base_seeds:
            continue
        shares = accuracies(counts)
        entry = {"overall": shares.pop(OVERALL), "tags": shares, "empty_share": empty}
        if arm != BASE:
            entry["gain"] = entry["overall"] - accuracies(base)[OVERALL]
            entry["interval"] = paired_intervals(base, counts)[OVERALL]
            summary = Job(arm, 0, None, 0).folder(asked.out) / "train" / "summary.json"
            last = json.loads(summary.read_text())["last"]
            entry |= {name: last[name] for name in ("psi_w", "psi_l", "keep", "implicit_acc")}
        found[arm] = entry
    return found


def table(found: dict[str, dict[str, Any]]) -> str:
    tags = next(iter(found.values()))["tags"]
    head = ["run", "Overall", "gain over the base (95 %)", *tags, "empty", "psi_w", "psi_l"]
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    for arm, row in found.items():
        gain = ""
        if "gain" in row:
            gain = f"{row['gain']:+.3f} [{row['interval'][0]:+.3f}, {row['interval'][1]:+.3f}]"
        cells = [arm, f"{row['overall']:.3f}", gain, *(f"{row['tags'][tag]:.2f}" for tag in tags)]
        cells += [f"{row['empty_share']:.1%}"]
        cells += [f"{row[side]:+.2f}" if side in row else "" for side in ("psi_w", "psi_l")]
        lines.append(" | ".join(cells))
    return "\n".join(f"| {line} |" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--prompts", type=int, default=320, help="to learn from")
    parser.add_argument("--candidates", type=int, default=6, help="of each")
    parser.add_argument("--steps", type=int, default=150, help="of training")
    parser.add_argument("--batch", type=int, default=16, help="pairs a step")
    parser.add_argument("--rank", type=int, default=32, help="of the LoRA")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1, help="a prompt and seed in evaluation")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    asked = parser.parse_args()
    call(
        f"sipo-data generate --num-prompts {asked.prompts} --candidates {asked.candidates} "
        f"--seed 1 --out {asked.out / 'shards'}"
    )
    planned = jobs(asked)
    with ThreadPoolExecutor(asked.jobs) as pool, tqdm(total=len(planned), unit="run") as bar:
        for _ in pool.map(lambda job: run(job, asked), planned):
            bar.update()
    found = results(asked)
    (asked.out / "methods.json").write_text(json.dumps(found, indent=1))
    (asked.out / "methods.md").write_text(table(found) + "\n")
    shown = ("diffusion-dpo, beta 1000", "diffusion-dpo, beta 5000", "dpo-cm", "sipo")
    plot([Job(arm, 0, None, 0).folder(asked.out) / "train" for arm in shown], asked.out)
    print(table(found))


if __name__ == "__main__":
    main()
