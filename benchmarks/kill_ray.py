"""Kill -9 at random moments under `--runner ray`, and compare with one process.

    python benchmarks/kill_ray.py generate|geneval [--kills 20] [--seed 0]
        [--whom worker|node|driver] [--backbone mini-sd] [--prompts 48] [--steps 4]

A cluster of two nodes of one core each runs on this machine; killed is a worker, or the raylet of
the node that the command is not on (and a new node joins), or the command itself, which is then
given again. Says how many files differ from those of a process that was left alone (none, or it
ends), and how many images were judged more than once. Where all is made before as many kills as
asked for have hit, it begins again in a fresh folder.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import ray
from kill import fingerprint
from ray.cluster_utils import Cluster

from sipo.common.bars import bar
from sipo.feedback.prompts.suites import TRAIN_SUITES, load_suite

BIN = Path(sys.executable).parent
STORE_BYTES = 80_000_000
WORKERS = ("ShardMaker", "Evaluator")
"""Actors that make what the command is for."""
SAMPLING = {
    "generate": ["sipo-data", "generate", "--candidates", "4", "--margin", "0.05"],
    "geneval": ["sipo-geneval", "--images-per-prompt", "4"],
}
JUDGE = '''
import os
from sipo.feedback.fake import FakeJudge

class Counted(FakeJudge):
    """Writes down what it has judged."""
    def __init__(self, folder="."):
        super().__init__()
        self.path = os.path.join(folder, f"judged-{os.getpid()}")
    def judge(self, images, prompts):
        verdicts = super().judge(images, prompts)
        with open(self.path, "a") as file:
            file.writelines(f"{prompt.text}\\n" for prompt in prompts)
        return verdicts
'''


def command(asked: argparse.Namespace, out: Path) -> list[str]:
    """In the folder above `out`, where judge and prompts lie; what is judged is noted in `out`'s
    neighbour."""
    notes = out.with_name(f"{out.name}-judged")
    notes.mkdir(exist_ok=True)
    rules = out.with_suffix(".json")
    rules.write_text(json.dumps({"counted:Counted": {"folder": str(notes)}}), encoding="utf-8")
    given = ["--prompts", "prompts.jsonl", "--judge", "counted:Counted"]
    given += ["--backbone", asked.backbone, "--judge-settings", rules.name]
    given += ["--batch-size", "4", "--steps", str(asked.steps), "--out", out.name]
    if asked.stage == "generate":
        given += ["--prompts-per-shard", "2"]
    program, *stage = SAMPLING[asked.stage]
    return [str(BIN / program), *stage, *given]


def judged(out: Path) -> Counter[str]:
    notes = out.with_name(f"{out.name}-judged")
    lines = (
        text
        for path in notes.glob("judged-*")
        for text in path.read_text(encoding="utf-8").splitlines()
    )
    return Counter(lines)


class TwoNodes:
    """The second one may be killed."""

    def __init__(self) -> None:
        options: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
        self.cluster = Cluster(
            initialize_head=True, head_node_args={**options, "include_dashboard": False}
        )
        self.options = options
        self.other = self.cluster.add_node(**options)

    def workers(self) -> list[int]:
        raylets = {raylet_of(node) for node in self.cluster.list_all_nodes()}
        return [pid for pid in processes() if parent(pid) in raylets and is_worker(pid)]

    def kill_node(self) -> None:
        os.kill(raylet_of(self.other), signal.SIGKILL)
        self.cluster.remove_node(self.other, allow_graceful=False)
        self.other = self.cluster.add_node(**self.options)


def raylet_of(node: Any) -> int:
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        return int(stat.rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def title(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def is_worker(pid: int) -> bool:
    return any(name in title(pid) for name in WORKERS)


def strike(whom: str, nodes: TwoNodes, driver: subprocess.Popen[bytes], chance: Any) -> str | None:
    """Who was killed; None where there was nobody yet."""
    if whom == "node":
        nodes.kill_node()
    elif whom == "driver":
        driver.kill()
    else:
        workers = nodes.workers()
        if not workers:
            return None
        os.kill(chance.choice(workers), signal.SIGKILL)
    return whom


def run(words: list[str], root: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        words,
        cwd=root,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def end(process: subprocess.Popen[bytes]) -> None:
    _, errors = process.communicate()
    if process.returncode:
        sys.exit(f"it failed: {errors.decode()[-800:]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=[*SAMPLING])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--whom", choices=["worker", "node", "driver"], help="else by turns")
    parser.add_argument("--backbone", default="mini-sd")
    parser.add_argument("--prompts", type=int, default=48)
    parser.add_argument("--steps", type=int, default=4)
    asked = parser.parse_args()
    os.environ |= {"RAY_worker_niceness": "0"}  # else whatever runs beside goes first
    chance = random.Random(asked.seed)
    killed: Counter[str] = Counter()
    repeated = runs = 0
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        (root / "counted.py").write_text(JUDGE, encoding="utf-8")
        rows = load_suite("mini-train", TRAIN_SUITES)[: asked.prompts]
        text = "".join(f"{row.to_json()}\n" for row in rows)
        (root / "prompts.jsonl").write_text(text, encoding="utf-8")
        end(run([*command(asked, root / "calm"), "--workers", "2"], root))
        calm, needed = fingerprint(root / "calm"), judged(root / "calm")
        nodes = TwoNodes()
        shown = bar(asked.kills, "Kills", "kills")
        while killed.total() < asked.kills:
            out = root / f"killed-{runs}"
            words = [*command(asked, out), "--runner", "ray"]
            driver = run(words, root, RAY_ADDRESS=nodes.cluster.address)
            while driver.poll() is None and killed.total() < asked.kills:
                begun, wait_s = judged(out).total(), chance.uniform(0.5, 6)
                time.sleep(wait_s)
                if judged(out).total() == begun or driver.poll() is not None:
                    continue  # only while somebody is at work
                turn = ("worker", "node", "worker", "driver")[killed.total() % 4]
                if hit := strike(asked.whom or turn, nodes, driver, chance):
                    killed[hit] += 1
                    shown.update()
                if hit == "driver":
                    driver.communicate()
                    driver = run(words, root, RAY_ADDRESS=nodes.cluster.address)
            end(driver)
            made, disturbed = judged(out), fingerprint(out)
            differ = [n for n in calm.keys() | disturbed.keys() if calm.get(n) != disturbed.get(n)]
            if differ or made.keys() != needed.keys():
                sys.exit(f"after {dict(killed)} these differ: {', '.join(sorted(differ))}")
            repeated += made.total() - needed.total()
            runs += 1
        shown.close()
        nodes.cluster.shutdown()
    result = {
        "killed": dict(killed),
        "runs": runs,
        "files_compared": len(calm),
        "files_lost": 0,
        "images": needed.total() * runs,
        "judged_again": repeated,
        "ray": ray.__version__,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
