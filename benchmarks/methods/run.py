"""The paper's methods and their relatives on the same candidates, several seeds.

    python benchmarks/methods/run.py [--out runs/methods] [--seeds 3] [--jobs 2] [--only REGEX]

Resumable: every stage continues itself, and what is in OUT/results.json is not run again, also
where that file is all that is left. A job is one process with one thread, which on a CPU gives
more together than one process with all threads. On a CUDA card as many jobs as the machine has
cores share it; --minutes begins nothing new after that time.
Writes OUT/methods.md. The order is by seed, so that an unfinished comparison has whole rows.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from arms import ARMS, AT_BETAS, COLLAPSE, METHODS, NOISY, OFF_POLICY, PLAIN, rated, rates_of
from commands import call
from data import NAMES, NEEDS, command_for, folder_of, is_made
from results import BASE, SUITES, Job, Results
from tables import page

from sipo.common.bars import bar, say

SAMPLED = 160  # images at a time


def jobs_in_order(results: Results, seeds: int) -> Iterator[Job]:
    """What is known to be wanted so far: the further seeds of a method are those of its best rate,
    which is known when all its rates have been tried with the first seed. The longest come last."""
    for seed in range(seeds):
        yield Job(BASE, seed, None)
        for method in METHODS:
            rates = rates_of(method) if seed == 0 else filter(None, [best_rate(results, method)])
            yield from named([rated(method, rate) for rate in rates], seed)
        yield from named([*OFF_POLICY, *AT_BETAS, *NOISY], seed)
    for seed in range(seeds):
        yield from named([*COLLAPSE], seed)


def named(names: list[str], seed: int) -> Iterator[Job]:
    return (Job(name, seed, ARMS[name]) for name in names)


def best_rate(results: Results, method: str) -> float | None:
    """By the validation prompts and the first seed; None while a rate has not been tried."""
    if not all(results.has(rated(method, rate), 0) for rate in rates_of(method)):
        return None
    return max(
        rates_of(method), key=lambda rate: results.overall(rated(method, rate), "validation", 0)
    )


def run(job: Job, out: Path, images: int) -> float:
    """Train and evaluate; returns the training's seconds of CPU."""
    here, weights, cpu_s = job.folder(out), "", 0.0
    log = here / "log.txt"
    arm = job.arm
    if arm and not arm.steps:
        weights = f"--weights {folder_of(out, str(arm.start))}"
    elif arm:
        given = [f"--data {folder_of(out, arm.data)} --out {here / 'train'}", PLAIN, arm.options]
        given += [f"--max_train_steps {arm.steps} --seed {job.seed} --report_to none"]
        if arm.start:
            given += [f"--init_weights {folder_of(out, arm.start)}"]
        if arm.look_every:
            given += [f"--validation_pairs {16 * arm.look_every} --num_validation_images 1"]
            given += [f"--validation_prompts {out / 'validation.jsonl'}"]
        cpu_s = call(" ".join(["sipo-train", *given]), log)
        weights = f"--weights {here / 'train'}"
    for name, suite in SUITES.items():
        call(
            f"sipo-geneval {weights} --suite {suite} --images-per-prompt {images} --workers 1 "
            f"--seed {job.seed} --batch-size {SAMPLED} --judge mini-evaluator --out {here / name}",
            log,
        )
    return cpu_s


def make(name: str, out: Path) -> float:
    cpu_s = call(command_for(out, name, SAMPLED), out / "data" / f"{name}.txt")
    (folder_of(out, name) / "made").touch()
    return cpu_s


def write_validation_prompts(path: Path) -> None:
    from sipo.feedback.prompts.suites import SUITES as PROMPTS

    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [prompt.to_json() + "\n" for prompt in PROMPTS["mini-validation"]()]
    path.write_text("".join(lines), encoding="utf-8")


class Comparison:
    """Which work goes on now, and what comes next."""

    def __init__(self, asked: argparse.Namespace, results: Results, pool: ProcessPoolExecutor):
        self.asked, self.results, self.pool = asked, results, pool
        self.running: dict[Future[float], Job | str] = {}
        self.failed: list[Job | str] = []

    def next(self) -> Job | str | None:
        """Data first, then the first run that is not done and whose data are made."""
        begun = [*self.running.values(), *self.failed]
        out = self.asked.out
        for name in NAMES:
            needed = NEEDS.get(name)
            if not (is_made(out, name) or name in begun) and (not needed or is_made(out, needed)):
                return name
        for job in jobs_in_order(self.results, self.asked.seeds):
            if job in begun or self.results.has(job.name, job.seed):
                continue
            if job.arm and not re.fullmatch(self.asked.only, job.name):
                continue
            needs = [job.arm.data, job.arm.start or job.arm.data] if job.arm else []
            if all(is_made(out, name) for name in needs):
                return job
        return None

    def go_on(self, ends: float) -> None:
        with bar(None, "runs", "run") as progress:
            while True:
                while len(self.running) < self.asked.jobs and time.monotonic() < ends:
                    if (what := self.next()) is None:
                        break
                    self.running[self.begin(what)] = what
                if not self.running:
                    return
                done, _ = wait(self.running, return_when=FIRST_COMPLETED)
                for future in done:
                    self.end(self.running.pop(future), future)
                    progress.update()

    def begin(self, what: Job | str) -> Future[float]:
        if isinstance(what, str):
            return self.pool.submit(make, what, self.asked.out)
        return self.pool.submit(run, what, self.asked.out, self.asked.images)

    def end(self, what: Job | str, future: Future[float]) -> None:
        """A run that fails is said and left out; the others go on."""
        if error := future.exception():
            self.failed.append(what)
            say(f"failed: {what if isinstance(what, str) else what.name}: {error}")
        elif isinstance(what, Job):
            self.results.add(what, what.folder(self.asked.out), future.result())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("runs/methods"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=1, help="a prompt and seed in evaluation")
    parser.add_argument("--only", default=".*", help="names to run: a regular expression")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    asked = parser.parse_args()
    ends = time.monotonic() + 60 * asked.minutes
    asked.out = asked.out.resolve()
    os.chdir(Path(__file__).parent)  # where the judge of the flipped verdicts is found
    write_validation_prompts(asked.out / "validation.jsonl")
    results = Results(asked.out / "results.json", {"images": asked.images})
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(asked.jobs, mp_context=spawn) as pool:
        comparison = Comparison(asked, results, pool)
        comparison.go_on(ends)
    (asked.out / "methods.md").write_text(page(results) + "\n", encoding="utf-8")
    print(page(results))
    if comparison.failed:
        sys.exit(1)


if __name__ == "__main__":
    main()
