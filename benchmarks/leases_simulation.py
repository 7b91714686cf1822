"""How far leases carry: a thousand workers on a counted clock, and what files cost on this disk.

    python benchmarks/leases_simulation.py [--only fleet piece folder] [--pieces 10000]
        [--workers 1000] [--seed 0] [--shards 1000 10000 100000]

`fleet`: the real leases, 5 % of the workers five times slower, 5 % die once and come again
(tests/lease_simulation.py, with the bound). `piece`: one lease claimed, touched and released as a
file. `folder`: a folder of N empty shards opened, claimed, and looked through by a process that
begins. No model is loaded.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipo.datagen.storage.folder_config import FolderConfig

ROOT = Path(__file__).parents[1]
PARTS = ("fleet", "piece", "folder")
LEASES = 1_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--pieces", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shards", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    asked = parser.parse_args()
    sys.path[:0] = [str(ROOT / "tests")]
    if "fleet" in asked.only:
        fleet(asked.pieces, asked.workers, asked.seed)
    with tempfile.TemporaryDirectory() as scratch:
        if "piece" in asked.only:
            piece(Path(scratch))
        for number in asked.shards if "folder" in asked.only else ():
            folder(Path(scratch) / str(number), number)


def fleet(pieces: int, workers: int, seed: int) -> None:
    from lease_simulation import Fleet, Simulation

    asked = Fleet(pieces, workers, seed)
    began = time.process_time()
    made = Simulation(asked).run()
    cpu_s = time.process_time() - began
    calls = ", ".join(f"{number:,} {kind}" for kind, number in sorted(made.calls.items()))
    print(f"{pieces:,} pieces of {asked.piece_s:.0f} s, {workers:,} workers, seed {seed}:")
    print(f"  made {made.made:,}, twice {made.twice}; {made.deaths} died with {made.lost_s:,.0f} s")
    print(
        f"  99.9 % made after {made.most_s:,.0f} s, all after {made.ended_s:,.0f}, known to all "
        f"after {made.known_s:,.0f}"
    )
    print(f"  never idle {made.fluid_s:,.0f} s, bound with its tail {made.bound_s:,.0f} s")
    print(f"  {made.ended_s / made.bound_s:.3f} of the bound; {cpu_s:.0f} CPU s to simulate")
    print(f"  {calls}")


def piece(folder: Path) -> None:
    from sipo.common.files.leases import FileStore, Leases

    store = FileStore(folder)
    leases = Leases(store)
    names = [f"shard-{number:06d}" for number in range(LEASES)]
    steps: dict[str, Callable[[str], object]] = {
        "claim": leases.claim,
        "claim another's": Leases(store).claim,
        "touch": lambda name: store.touch(name, leases.owner),
        "release": leases.release,
    }
    for what, step in steps.items():
        began = time.perf_counter()
        for name in names:
            step(name)
        each_us = (time.perf_counter() - began) / LEASES * 1e6
        print(f"a lease: {what} {each_us:.0f} us")


def folder(path: Path, shards: int) -> None:
    """Empty files, as many as whole shards have: two tars, two indexes, the embeddings."""
    from sipo.common.files.leases import FileStore, Leases
    from sipo.common.shared_work import Shared
    from sipo.datagen.generation.pairs import is_whole
    from sipo.datagen.storage.folder_guard import claim_folder
    from sipo.datagen.storage.shard_folder import open_folder

    config, prompts = empty_config(shards)
    path.mkdir()
    took: dict[str, float] = {}

    def timed(what: str, step: Callable[[], object]) -> None:
        began = time.perf_counter()
        step()
        took[what] = time.perf_counter() - began

    def begin() -> object:
        opened = open_folder(path)
        whole = partial(is_whole, opened)
        return Shared(opened.numbers, whole, Leases(FileStore(path)), "shard")

    timed("claim, new", partial(claim_folder, path, config, prompts))
    timed("begin, nothing made", begin)
    for number in range(shards):
        for name in ("candidates-{}.tar", "candidates-{}.json", "pairs-{}.tar", "pairs-{}.json"):
            (path / name.format(f"{number:06d}")).touch()
        (path / f"pairs-{number:06d}.safetensors").touch()
    timed("claim, begun", partial(claim_folder, path, config, prompts))
    timed("open", partial(open_folder, path))
    timed("list", lambda: list(path.iterdir()))
    timed("begin, empty files", begin)
    print(f"{shards:,} shards:", ", ".join(f"{what} {s:.3f} s" for what, s in took.items()))


def empty_config(shards: int) -> tuple[FolderConfig, bytes]:
    """Of a folder with a prompt a shard."""
    from sipo.datagen.storage.folder_config import FORMAT, FolderConfig

    prompts = b'{"tag": "text", "prompt": "a cat"}\n' * shards
    row = {
        "format": FORMAT,
        "backbone": {"name": "none", "family": "none", "weights_sha256": "0"},
        "sampler": {"steps": 1, "guidance": 1, "height": 8, "width": 8},
        "prompts": {"count": shards, "sha256": hashlib.sha256(prompts).hexdigest(), "repeated": 0},
        "seed": 0,
        "candidates": 2,
        "batch_size": 2,
        "prompts_per_shard": 1,
        "shards": shards,
        "dtype": "float32",
        "device": "cpu",
        "judge": {"id": "fake"},
        "policy": "all-over-margin",
        "margin": 0.3,
        "max_pairs_per_prompt": 1,
        "versions": {},
    }
    return FolderConfig.model_validate(row), prompts


if __name__ == "__main__":
    main()
