"""What each process of a training holds at most, undivided and with --shard_weights.

    python benchmarks/sharded_memory.py                # 1.2 GB of weights: half an hour of CPU
    python benchmarks/sharded_memory.py --width 128    # the same, small

A FLUX of random weights (PARAMETERS at the default width) is saved once and trained two steps on
the CPU by 1, 2 and 4 processes (gloo): all weights, with and without a frozen reference, and a
LoRA. Peaks are of the resident set (VmHWM, set back by 5 in /proc/self/clear_refs between phases),
less what it is after imports; that of files that are mapped is in it. *start* is until the first
step, *checkpoint* is the writing of one, *step* all else.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sipo.datagen.storage.pair_dataset import LatentPair

HERE = Path(__file__).resolve()
WIDTH, DOUBLE, SINGLE = 512, 12, 48
HEAD, TEXT, POOLED = 64, 64, 32
PHASES = ("start", "step", "checkpoint")
RUNS: dict[str, dict[str, object]] = {
    "all weights, no reference": {"full": True, "objective": "sft"},
    "all weights, frozen reference": {"full": True},
    "a LoRA": {"rank": 16},
}
"""Name of a row -> settings of sipo-train."""
MOST = {2: 0.62, 4: 0.40}
"""Processes -> share of the undivided run's peak that each may take."""
Peaks = dict[str, float]
"""Phase -> MiB."""


def main() -> None:
    asked = arguments()
    if asked.worker:
        work(json.loads(asked.worker))
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        size = make_model(folder / "model", asked.width, asked.double, asked.single)
        print(f"FLUX of {size / 1e6:.0f} M parameters, {4 * size / 1e9:.2f} GB in float32")
        for name, settings in RUNS.items():
            if asked.only and asked.only not in name:
                continue
            given = settings | {"data": [], "out": str(folder / "run")}
            whole = measure(folder, 1, given)
            print(f"\n{name}\n{row('1 process', whole[0])}", flush=True)
            for count in asked.processes:
                divided = measure(folder, count, given | {"shard_weights": True})
                for rank, peaks in enumerate(divided):
                    print(row(f"{count} processes, {rank}", peaks, whole[0]), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--width", type=int, default=WIDTH, help="a multiple of 64")
    parser.add_argument("--double", type=int, default=DOUBLE, help="double-stream blocks")
    parser.add_argument("--single", type=int, default=SINGLE, help="single-stream blocks")
    parser.add_argument("--processes", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--only", help="a part of a run's name")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser.parse_args()


def row(name: str, peaks: Peaks, whole: Peaks | None = None) -> str:
    said = [f"{name:16}"]
    for phase in PHASES:
        share = f" ({peaks[phase] / whole[phase]:.2f})" if whole else ""
        said.append(f"{phase} {peaks[phase]:6.0f} MiB{share}")
    return "  ".join(said)


def make_model(folder: Path, width: int, double: int, single: int) -> int:
    """A FLUX pipeline of which only what training reads is there; returns its parameters."""
    import torch
    from diffusers import FlowMatchEulerDiscreteScheduler, FluxTransformer2DModel

    torch.manual_seed(0)
    network = FluxTransformer2DModel(
        in_channels=16,
        num_layers=double,
        num_single_layers=single,
        attention_head_dim=HEAD,
        num_attention_heads=width // HEAD,
        joint_attention_dim=TEXT,
        pooled_projection_dim=POOLED,
        axes_dims_rope=(16, 24, 24),
    )
    network.save_pretrained(folder / "transformer")
    FlowMatchEulerDiscreteScheduler().save_pretrained(folder / "scheduler")
    parts = {
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }
    index = {"_class_name": "FluxPipeline", **parts}
    (folder / "model_index.json").write_text(json.dumps(index), encoding="utf-8")
    return int(sum(parameter.numel() for parameter in network.parameters()))


def measure(folder: Path, count: int, settings: Mapping[str, object]) -> list[Peaks]:
    """The peaks of every process of a new run."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    group = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(count)}
    group |= {"ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    subprocess.run(["rm", "-rf", str(settings["out"])], check=True)
    told = json.dumps({"model": str(folder / "model"), "settings": settings})
    running = [
        subprocess.Popen(
            [sys.executable, str(HERE), "--worker", told],
            env=os.environ | group | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if rank else None,
            text=True,
        )
        for rank in range(count)
    ]
    ended = [process.communicate()[0] for process in running]
    assert not any(process.returncode for process in running), "a process failed"
    return [json.loads(text.splitlines()[-1]) for text in ended]


def work(told: Mapping[str, dict[str, object]]) -> None:
    """One process: trains two steps and prints its peaks as JSON."""
    import torch

    from sipo.train import trainer
    from sipo.train.checkpoint_schedule import Checkpointer
    from sipo.train.settings import make_settings

    torch.set_num_threads(1)
    import_everything(str(told["model"]))
    watch = Watch()
    during = around(Checkpointer, "save", watch, "checkpoint")
    with during, around(trainer.Trainer, "run", watch, "step", "end"):
        settings = {"backbone": str(told["model"]), "train_batch_size": 1, "max_train_steps": 2}
        settings |= {"checkpointing_steps": 2, "report_to": "none", "mixed_precision": "no"}
        trainer.train(make_settings(settings | told["settings"]), dataset=Pairs())
    print(json.dumps(watch.peaks))


def import_everything(model: str) -> None:
    """What a run imports late, and libraries' own buffers."""
    import peft.utils  # noqa: F401
    import torch
    from diffusers import FluxPipeline, FluxTransformer2DModel  # noqa: F401
    from torch.distributed import fsdp, tensor  # noqa: F401

    from sipo.backbones.images import flux  # noqa: F401

    layer = torch.nn.Linear(8, 8)
    layer(torch.ones(1, 8)).sum().backward()
    torch.optim.AdamW(layer.parameters()).step()


class Watch:
    """Peaks of this process by phase, in MiB above what it had at the beginning."""

    def __init__(self) -> None:
        self.base, self.phase = status("VmRSS"), "start"
        self.peaks = dict.fromkeys((*PHASES, "end"), 0.0)
        forget_peak()

    def enter(self, phase: str) -> str:
        """Returns the phase that was."""
        before = self.phase
        self.peaks[before] = max(self.peaks[before], status("VmHWM") - self.base)
        forget_peak()
        self.phase = phase
        return before


def status(name: str) -> float:
    """MiB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1024
    raise ValueError(name)


def forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


@contextmanager
def around(owner: type, name: str, watch: Watch, phase: str, then: str = "") -> Iterator[None]:
    """Inside, a call of that method is a phase of its own, and `then` comes after it."""
    original: Callable[..., object] = getattr(owner, name)

    def watched(*given: object, **named: object) -> object:
        before = watch.enter(phase)
        try:
            return original(*given, **named)
        finally:
            watch.enter(then or before)

    setattr(owner, name, watched)
    try:
        yield
    finally:
        setattr(owner, name, original)


class Pairs:
    """Two of 4 x 4 latents, in memory: activations are of the batch and shared out by nobody."""

    def __init__(self) -> None:
        import torch

        self.meta = {"backbone": {"name": "random"}}
        self.empty = {
            "encoder_hidden_states": torch.zeros(1, TEXT),
            "pooled_projections": torch.zeros(POOLED),
        }

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> LatentPair:
        import torch

        from sipo.datagen.storage.pair_dataset import LatentPair

        draw = torch.Generator().manual_seed(index)
        winner, loser = (torch.randn(4, 4, 4, generator=draw) for _ in range(2))
        return LatentPair(str(index), "", "", winner, loser, self.empty, 1.0)

    def fingerprint(self) -> str:
        return "two"


if __name__ == "__main__":
    main()
