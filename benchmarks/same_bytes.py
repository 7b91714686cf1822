"""The same shards by one process and by several, however they were started.

    python benchmarks/same_bytes.py [--num-prompts 64] [--candidates 5] [WAY ...]

Makes one folder a way on the embedded world, compares every file with those of one process, and
prints seconds. On a CPU one process samples on all cores already; `--alone` keeps it to one, and
each of the others too, which is how cards are: the ratio is what a second card would give.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

WAYS = ("one", "devices", "torchrun", "array", "srun")
HERE = {**os.environ, "TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
GENERATE = ["-m", "sipo.datagen.cli", "generate"]


def started(way: str, words: list[str]) -> list[subprocess.Popen[bytes]]:
    """Two processes, or one that starts them."""
    python = [sys.executable]
    if way == "one":
        return [begin([*python, *GENERATE, *words])]
    if way == "devices":
        return [begin([*python, *GENERATE, *words, "--devices", "2"])]
    if way == "torchrun":
        launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        return [begin([*python, *launcher, *GENERATE, *words])]
    return [begin([*python, *GENERATE, *words], place_in(way, rank)) for rank in range(2)]


def place_in(way: str, rank: int) -> dict[str, str]:
    """What Slurm says to a task of two."""
    if way == "srun":
        names = {"SLURM_PROCID": rank, "SLURM_NTASKS": 2, "SLURM_LOCALID": rank}
    else:
        names = {"SLURM_ARRAY_TASK_ID": rank + 3, "SLURM_ARRAY_TASK_COUNT": 2}
        names |= {"SLURM_ARRAY_TASK_MIN": 3, "SLURM_ARRAY_TASK_STEP": 1}
    return {name: str(value) for name, value in names.items()}


def begin(words: list[str], more: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(words, env={**HERE, **(more or {})}, stdout=quiet)


def differing(first: Path, second: Path) -> list[str]:
    names = sorted({path.name for folder in (first, second) for path in folder.iterdir()})
    _, other, missing = filecmp.cmpfiles(first, second, names, shallow=False)
    return [*other, *missing]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("ways", nargs="*", default=WAYS, metavar="WAY", help=", ".join(WAYS))
    parser.add_argument("--num-prompts", type=int, default=64)
    parser.add_argument("--candidates", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="one core a process")
    asked = parser.parse_args()
    words = [f"--num-prompts={asked.num_prompts}", f"--candidates={asked.candidates}"]
    words += ["--workers=1"] * asked.alone
    wrong = False
    with tempfile.TemporaryDirectory() as root:
        for way in dict.fromkeys(("one", *asked.ways)):
            out = Path(root) / way
            began = time.monotonic()
            for process in started(way, [*words, f"--out={out}"]):
                wrong |= process.wait() != 0
            seconds = time.monotonic() - began
            others = differing(Path(root) / "one", out)
            wrong |= bool(others)
            same = f"differ: {', '.join(others)}" if others else "the same bytes"
            print(f"{way:10}{seconds:8.1f} s  {len(list(out.iterdir())):4} files, {same}")
    sys.exit(wrong)


if __name__ == "__main__":
    main()
