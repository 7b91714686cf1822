"""Kill -9 (or SIGTERM, SIGINT) at random moments, then compare with an undisturbed run.

    python benchmarks/kill.py generate|geneval|train|loop|rounds [--kills 10] [--seed 0]
        [--backbone mini-sd] [--judge yolo-world] [--objective sipo] [--signal KILL|TERM|INT]
        [--devices 2]

`rounds` is a loop of two with refreshed and replayed pairs, of which some trainings are rejected:
its evaluator says what a hash of the image says. Each command is small, so that most kills hit it
at work. A command that ends before its kill is compared and begun again in a fresh folder, until as
many kills as asked for have hit. With --devices the undisturbed run is one process, and a kill
hits one of the several by chance, or who started them: where the others go on they must end with
the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safetensors.torch import load_file
from tqdm import tqdm

from sipo.feedback.prompts.suites import load_suite

BIN = Path(sys.executable).parent
START_S = 5.0  # imports: earlier kills hit nothing
TWO_ROUNDS = ["--rounds", "2", "--refresh", "16", "--replay", "0.3", "--evaluator", "fake"]


def command(asked: argparse.Namespace, stage: str, out: Path, shards: Path) -> list[str]:
    sampling = ["--backbone", asked.backbone, "--judge", asked.judge, "--steps", "4"]
    if stage == "generate":
        counts = ["--num-prompts", "24", "--candidates", "4", "--margin", "0.05"]
        return ["sipo-data", "generate", *sampling, *counts, "--out", str(out)]
    if stage == "geneval":
        few = ["--prompts", str(shards.with_name("mini.jsonl")), "--images-per-prompt", "6"]
        return ["sipo-geneval", *sampling, *few, "--batch-size", "4", "--out", str(out)]
    training = [
        "--max-train-steps",
        "24",
        "--train-batch-size",
        "4",
        "--objective",
        asked.objective,
    ]
    if stage == "train":
        often = ["--checkpointing-steps", "4", "--data", str(shards)]
        return ["sipo-train", *often, *training, "--out", str(out)]
    counts = ["--num-prompts", "12", "--candidates", "4", "--images-per-prompt", "1"]
    often = ["--train", "checkpointing_steps=4", "--margin", "0.05"]
    often += ["--seed", str(asked.seed)]
    words = ["sipo-loop", *sampling, *counts, *training, *often, "--out", str(out)]
    if stage == "loop":
        return words
    for option, suite in (("eval", "mini-validation"), ("test", "mini")):
        words += [f"--{option}-prompts", str(shards.with_name(f"{suite}.jsonl"))]
    return [*words, *TWO_ROUNDS]


def run(
    words: list[str],
    kill_after_s: float | None = None,
    number: signal.Signals = signal.SIGKILL,
    chance: random.Random | None = None,
) -> tuple[bool, bool]:
    """Whether it came to its end, which of several processes the others may have done, and whether
    it was hit. Raises where it failed."""
    chance = chance or random.Random(0)
    process = subprocess.Popen(
        [str(BIN / words[0]), *words[1:]], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        _, errors = process.communicate(timeout=kill_after_s)
    except subprocess.TimeoutExpired:
        os.kill(chance.choice(family(process.pid)), number)
        _, errors = process.communicate()
        if process.returncode not in (0, -number, 128 + number):
            raise RuntimeError(
                f"{' '.join(words)} was not stopped: {errors.decode()[-800:]}"
            ) from None
        return process.returncode == 0, True
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} failed: {errors.decode()[-800:]}")
    return True, False


def family(pid: int) -> list[int]:
    """A process and, where it has started several that do its work, those."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    started = [int(child) for child in children if "spawn_main" in words_of(child)]
    return [pid, *started] if len(started) > 1 else [pid]


def words_of(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
    except OSError:  # it has ended
        return ""


def fingerprint(folder: Path) -> dict[str, str]:
    """Path -> hash of all that must not differ: shards, images, rows, weights, decisions."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.suffix in (".tar", ".png", ".jsonl") and "log.jsonl" not in name:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        elif path.name == "pytorch_lora_weights.safetensors":
            digest = hashlib.sha256()
            for key, value in sorted(load_file(path).items()):
                digest.update(key.encode() + value.numpy().tobytes())
            found[name] = digest.hexdigest()
        elif path.name == "loop.json":
            found[name] = json.dumps(timeless(json.loads(path.read_text(encoding="utf-8"))))
        elif path.suffix == ".safetensors":
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def write_prompts(folder: Path) -> None:
    """A dozen of each suite that is held out, over all tags."""
    for suite in ("mini-validation", "mini"):
        prompts = load_suite(suite)
        rows = prompts[:: len(prompts) // 12]
        text = "".join(f"{row.to_json()}\n" for row in rows)
        (folder / f"{suite}.jsonl").write_text(text, encoding="utf-8")


def timeless(value: object) -> object:
    """Without how long things took."""
    if isinstance(value, list):
        return [timeless(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: timeless(item) for key, item in value.items() if "minutes" not in key}


def trainings(loop: Path) -> dict[str, list[str]]:
    """Which were accepted and which were not. Ends where one kind is missing: chance decides."""
    result = json.loads((loop / "loop.json").read_text(encoding="utf-8"))
    attempts = [
        attempt for entry in result["rounds"][1:] for attempt in (*entry.get("rejected", ()), entry)
    ]
    kinds: dict[str, list[str]] = {"accepted": [], "rejected": []}
    for attempt in attempts:
        kind = "accepted" if attempt["accepted"] else "rejected"
        kinds[kind].append(f"round {attempt['round']}, training {attempt['attempt']}")
    if missing := [kind for kind, found in kinds.items() if not found]:
        sys.exit(f"no training was {missing[0]} ({kinds}); give another --seed")
    return kinds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("stage", choices=["generate", "geneval", "train", "loop", "rounds"])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backbone", default="mini-sd")
    parser.add_argument("--judge", default="yolo-world")
    parser.add_argument("--objective", default="sipo")
    parser.add_argument("--devices", default="")
    parser.add_argument("--signal", choices=["KILL", "TERM", "INT"], default="KILL")
    asked = parser.parse_args()
    chance, number = random.Random(asked.seed), signal.Signals[f"SIG{asked.signal}"]
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        shards = root / "shards"
        write_prompts(root)
        if asked.stage == "train":
            run(command(asked, "generate", shards, shards))
        began = time.monotonic()
        run(command(asked, asked.stage, root / "calm", shards))
        duration = time.monotonic() - began
        calm = fingerprint(root / "calm")
        tried = trainings(root / "calm") if asked.stage == "rounds" else {}
        kills = runs = 0
        moments = []
        bar = tqdm(total=asked.kills, unit="kill")
        while kills < asked.kills:
            out = root / f"killed-{runs}"
            words = command(asked, asked.stage, out, shards)
            words += ["--devices", asked.devices] if asked.devices else []
            while kills < asked.kills:
                after = chance.uniform(min(START_S, duration / 3), duration)
                ended, hit = run(words, after, number, chance)
                if hit:
                    kills += 1
                    bar.update()
                    moments.append(round(after, 1))
                if ended:
                    break
            run(words)
            disturbed = fingerprint(out)
            differ = [n for n in calm.keys() | disturbed.keys() if calm.get(n) != disturbed.get(n)]
            if differ:
                sys.exit(f"after kills at {moments} s these differ: {', '.join(sorted(differ))}")
            runs += 1
            shutil.rmtree(out)
        bar.close()
    print(
        json.dumps(
            {
                "stage": asked.stage,
                "signal": asked.signal,
                "devices": asked.devices,
                "kills": kills,
                "runs": runs,
                "files_compared": len(calm),
                "undisturbed_s": round(duration, 1),
                **tried,
                "killed_after_s": moments,
            }
        )
    )


if __name__ == "__main__":
    main()
