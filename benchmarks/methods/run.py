"""The paper's methods on the same candidates, at equal numbers of pairs seen, several seeds.

    python benchmarks/methods/run.py [--out runs/methods] [--steps 120] [--seeds 3] [--jobs 2]

Resumable: every stage continues itself, and what is in OUT/results.json is not run again, also
where that file is all that is left. A job is one process with one thread, which on a CPU gives
more together than one process with all threads.
Writes OUT/methods.md, and OUT/curves.png of one seed's reward dynamics.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from arms import ARMS, LONGER, PLAIN, TIMES
from results import BASE, Job, Results
from tables import page

from sipo.common.bars import bar
from sipo.train.monitor.plot import plot

BIN = Path(sys.executable).parent
SHOWN = (
    f"sipo, {TIMES} x",
    f"diffusion-dpo, beta 1000, {TIMES} x",
    "diffusion-dpo, beta 5000",
    "sipo, beta 100, t >= 400",
    "sipo, beta 100, t >= 400, winner_anchor 1",
)


def planned(asked: argparse.Namespace) -> list[Job]:
    """Seed by seed, so that an unfinished comparison has whole rows; the longest first."""
    longer = {f"{arm}, {TIMES} x": arm for arm in LONGER}
    jobs = []
    for seed in range(asked.seeds):
        jobs += [Job(name, seed, ARMS[arm], TIMES * asked.steps) for name, arm in longer.items()]
        jobs += [Job(BASE, seed, None, 0)]
        jobs += [Job(arm, seed, options, asked.steps) for arm, options in ARMS.items()]
    return [job for job in jobs if job.arm == BASE or re.fullmatch(asked.only, job.arm)]


def run(job: Job, asked: argparse.Namespace) -> Path:
    """Train and evaluate; returns the job's folder."""
    here = job.folder(asked.out)
    weights = ""
    if job.options is not None:
        call(
            f"sipo-train --data {asked.out / 'shards'} --out {here / 'train'} {PLAIN} "
            f"{job.options} "
            f"--max_train_steps {job.steps} --train_batch_size {asked.batch} --rank {asked.rank} "
            f"--learning_rate {asked.lr} --lr_scheduler cosine --seed {job.seed} --report_to none "
            "--checkpointing_steps 60 --checkpoints_total_limit 1"
        )
        weights = f"--weights {here / 'train'}"
    call(
        f"sipo-geneval {weights} --images-per-prompt {asked.images} --seed {job.seed} "
        f"--judge mini-evaluator --workers 1 --out {here / 'eval'}"
    )
    return here


def call(command: str) -> None:
    name, *words = shlex.split(command)
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([BIN / name, *words], env=alone, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{command}\n{done.stderr[-2000:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--prompts", type=int, default=384, help="to learn from")
    parser.add_argument("--candidates", type=int, default=5, help="of each")
    parser.add_argument("--steps", type=int, default=120, help="of training")
    parser.add_argument("--batch", type=int, default=16, help="pairs a step")
    parser.add_argument("--rank", type=int, default=32, help="of the LoRA")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1, help="a prompt and seed in evaluation")
    parser.add_argument("--only", default=".*", help="names to run: a regular expression")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    asked = parser.parse_args()
    names = ("prompts", "candidates", "steps", "batch", "rank", "lr", "images")
    results = Results(asked.out / "results.json", {name: getattr(asked, name) for name in names})
    jobs = planned(asked)
    if left := [job for job in jobs if not results.has(job)]:
        call(
            f"sipo-data generate --num-prompts {asked.prompts} --candidates {asked.candidates} "
            f"--seed 1 --out {asked.out / 'shards'}"
        )
        with ThreadPoolExecutor(asked.jobs) as pool, bar(len(left), "Arms", "runs") as shown:
            running = {pool.submit(run, job, asked): job for job in left}
            for done in as_completed(running):
                results.add(running[done], done.result())
                shown.update()
        trained = [Job(arm, 0, None, 0).folder(asked.out) / "train" for arm in SHOWN]
        plot([run for run in trained if run.exists()], asked.out)
    (asked.out / "methods.md").write_text(page(results) + "\n", encoding="utf-8")
    print(page(results))


if __name__ == "__main__":
    main()
