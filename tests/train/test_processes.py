"""The same run on one process and on two (gloo, CPU): same pairs, same weights, one run folder."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from alike import assert_close_weights
from launcher import environment
from memory_pairs import Run

from sipo.backbones.base import LORA_FILE
from sipo.train.settings import read_yaml

# With few chain steps the mask leaves out many pairs, not the same number in each process.
GIVEN: dict[str, Any] = {"num_chain_steps": 40, "learning_rate": 1e-3, "rank": 2}
FULL = "unet/diffusion_pytorch_model.safetensors"
SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:3]
import json, torch
torch.set_num_threads(1)
from memory_pairs import MemoryPairs
from sipo.backbones.registry import load_backbone
from sipo.train.settings import make_settings
from sipo.train.trainer import train
settings = make_settings(json.loads(sys.argv[4]))
given = None if settings.backbone else load_backbone(sys.argv[3], denoiser_only=True)
train(settings, given, MemoryPairs(5))
"""


STOPPED = f"""
import os, signal, time
from pathlib import Path
from sipo.train import checkpoint_files
to_disk = checkpoint_files._to_disk
checkpoint_files._to_disk = lambda folder: (time.sleep(1), to_disk(folder))
if os.environ["RANK"] == "1":
    from sipo.train.trainer import Trainer
    step = Trainer.step
    def last(self):
        os.kill(os.getpid(), signal.SIGTERM)
        return step(self)
    Trainer.step = last
try:
    {SCRIPT.replace(chr(10), chr(10) + "    ")}
except KeyboardInterrupt:
    kept = Path(settings.out) / "checkpoint-1"
    assert (kept / checkpoint_files.COMPLETE).exists()
    kept.with_name("rank-" + os.environ["RANK"]).touch()
"""


def on_two_processes(
    folder: Path, settings: dict[str, Any], script: str = SCRIPT, **given: str
) -> None:
    """`given` is the environment, beside what tells the processes of one another."""
    here = Path(__file__).parent
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = os.environ | given | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    shared |= {"WORLD_SIZE": "2", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", script, str(here), str(here.parent), str(folder)]
    running = [
        subprocess.Popen(
            [*words, json.dumps(settings)],
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-2000:]


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_two_processes_are_one_and_one_goes_on_where_two_stopped(
    run: Run, tmp_path: Path, tiny_folder: Path
) -> None:
    """Batches of 2 x 2 against 1 x 4; then steps 3 and 4 on one process."""
    run("one", train_batch_size=4, max_train_steps=4, **GIVEN)
    one, two = tmp_path / "one", tmp_path / "two"
    asked = {"max_train_steps": 2, "checkpointing_steps": 2, "report_to": "none", "out": str(two)}
    on_two_processes(tiny_folder, GIVEN | asked | {"train_batch_size": 2})
    assert 0 < rows(two)[0]["keep"] < 1
    compare(one / "checkpoint-2", two / "checkpoint-2", one / "checkpoint-4")
    run("two", train_batch_size=4, max_train_steps=4, **GIVEN)
    compare(one, two, one / "checkpoint-2")
    both = list(zip(rows(one), rows(two), strict=True))
    flipped = sum(abs(ours["keep"] - theirs["keep"]) for ours, theirs in both)
    assert flipped <= 1 / 4  # one pair of the 16 may lie on the threshold
    for ours, theirs in both:
        assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-4)
    with pytest.raises(ValueError, match=r"--train_batch_size times .*, this command says 2"):
        run("two", train_batch_size=2, max_train_steps=6, **GIVEN)


@pytest.mark.parametrize("how", [pytest.param("option", marks=pytest.mark.slow), "fsdp"])
def test_divided_among_two_is_whole(run: Run, tmp_path: Path, tiny_folder: Path, how: str) -> None:
    """Steps 1 and 2 on one process, 3 and 4 divided among two, 5 on one again.

    `option`: a LoRA by --shard_weights, in bf16, in two parts a step. `fsdp`: all weights in
    float32 by accelerate's configuration, which keeps a block's weights until its backward pass.
    """
    full = how == "fsdp"
    given = GIVEN | {"full": full, "ema_decay": 0.5}
    given |= {"mixed_precision": "no" if full else "bf16"}
    run("one", train_batch_size=4, max_train_steps=5, **given)
    run("two", train_batch_size=4, max_train_steps=2, **given)
    one, two = tmp_path / "one", tmp_path / "two"
    asked = {"max_train_steps": 4, "checkpointing_steps": 2, "report_to": "none", "out": str(two)}
    parts = 1 if full else 2
    asked |= {"train_batch_size": 2 // parts, "gradient_accumulation_steps": parts}
    asked |= {"shard_weights": not full}
    keep_block = ("--fsdp_reshard_after_forward", "false")
    launched = environment("fsdp", *keep_block) if full else {}
    on_two_processes(tiny_folder, given | asked, **launched)
    assert read_yaml(two / "settings.yaml")["shard_weights"]
    start, file = one / "checkpoint-2", FULL if full else LORA_FILE
    within = 0.01 if full else 0.05  # bf16 rounds
    compare(one / "checkpoint-4", two / "checkpoint-4", start, file, within)
    run("two", train_batch_size=4, max_train_steps=5, **given)
    compare(one, two, start, file, within)


def compare(one: Path, two: Path, start: Path, file: str = LORA_FILE, within: float = 0.01) -> None:
    """Folders with weights."""
    assert_close_weights(one / file, two / file, start / file, within)


def test_none_ends_before_the_checkpoint_is_kept(tmp_path: Path, tiny_folder: Path) -> None:
    """A launcher kills the others when the first ends: the main one may still be writing."""
    asked = {"out": str(tmp_path / "run"), "max_train_steps": 3, "train_batch_size": 2}
    on_two_processes(tiny_folder, GIVEN | asked, STOPPED)
    assert {path.name for path in (tmp_path / "run").glob("rank-*")} == {"rank-0", "rank-1"}
