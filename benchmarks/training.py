"""What a training step costs, beside diffusers' own Diffusion-DPO script, unmodified.

    python benchmarks/training.py --script train_diffusion_dpo.py [--runs 5] [--steps 32]

The script is diffusers' `examples/research_projects/diffusion_dpo/train_diffusion_dpo.py`
(Apache-2.0) at a path of yours; nothing of it is here. Both sides train a LoRA (rank 4, its four
attention layers) of one `UNet2DConditionModel` (8.7 M parameters) on the same 32 pairs of 128 px:
float32, one thread, batch 4, AdamW at 1e-4, no gradient checkpointing. The autoencoder's encoder
costs 1.14 forward passes of the UNet (in Stable Diffusion 1.5 1.39, counted in the same way).

Arms, each in a process of its own, in turns: `theirs`; `ours` (sipo); `cached` (sipo with
`--reference_draws 1`, after the epoch that fills the cache); `dpo` (ours, their objective).
Seconds are the CPU's between the ends of optimizer steps, told by a hook on torch.optim that both
sides get, so no start-up is in them; memory is the process's highest resident set. Stood in for:
`wandb`, which the script imports and does not use here, by an empty module. Checked: the first
step's loss is ln 2 in every arm; with sipo, of the first step that keeps a pair.

The floor is the FLOPs of a step (counted by torch: the frozen forward pass, the trained one and its
backward pass; of theirs the encoders too) over the highest rate of a product of two 1024 x 1024
float32 matrices, measured in the same run.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import os
import resource
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))
PAIRS, PIXELS, BATCH = 32, 128, 4
WIDTHS, HEADS, TEXT = (64, 128, 192), (2, 4, 6), 64
ENCODER = (16, 32, 64, 64)
ARMS = ("theirs", "ours", "cached", "dpo")
WARM = {"cached": PAIRS // BATCH}
"""Steps before those that are timed; elsewhere one."""
MIB = 1024  # KiB, as getrusage tells them on Linux


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--script", type=Path, required=True, metavar="PATH")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--only", choices=ARMS, action="append", help="Arms; all if not given.")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        run_arm(given.arm, given.script, given.steps, given.folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        arms = tuple(given.only or ARMS)
        print(table(measure(given.script, given.runs, given.steps, arms, Path(folder))))


def measure(
    script: Path, runs: int, steps: int, arms: Sequence[str], folder: Path
) -> dict[str, Any]:
    """Of every arm its runs; the floor, measured before and after them."""
    make_world(folder)
    rates = [peak()]
    results: dict[str, list[dict[str, float]]] = {arm: [] for arm in arms}
    for number in range(runs):
        for arm in arms:
            out = folder / f"{arm}-{number}"
            words = ["--arm", arm, "--steps", str(steps), "--script", str(script.resolve())]
            command = [sys.executable, __file__, *words, "--folder", str(out)]
            done = subprocess.run(command, env=alone(), capture_output=True, text=True)
            if done.returncode:
                raise RuntimeError(f"{arm}: {done.stderr[-3000:]}")
            result = json.loads((out / "result.json").read_text(encoding="utf-8"))
            if abs(result["first_loss"] - math.log(2)) > 1e-4:
                raise RuntimeError(f"{arm} begins at a loss of {result['first_loss']}, not ln 2")
            results[arm].append(result)
            print(f"{arm} {number + 1}: {result['seconds']:.2f} CPU s", file=sys.stderr, flush=True)
        rates.append(peak())
    return {"steps": steps, "arms": results, "rate": max(rates), "flops": flops(folder)}


def alone() -> dict[str, str]:
    """One thread, no hub."""
    return os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "MKL_NUM_THREADS": "1"}


def make_world(folder: Path) -> None:
    """`model`, a diffusers folder; `pickapic`, a table of pairs; `shards`, the same imported."""
    import torch
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from tiny import clip_config, clip_tokenizer
    from transformers import CLIPTextModel

    torch.manual_seed(0)
    levels, halvings = len(WIDTHS), len(ENCODER)
    unet = UNet2DConditionModel(
        sample_size=PIXELS // 8,
        block_out_channels=WIDTHS,
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D",) * (levels - 1) + ("DownBlock2D",),
        up_block_types=("UpBlock2D",) + ("CrossAttnUpBlock2D",) * (levels - 1),
        cross_attention_dim=TEXT,
        attention_head_dim=HEADS,
    )
    vae = AutoencoderKL(
        block_out_channels=ENCODER,
        layers_per_block=2,
        norm_num_groups=16,
        down_block_types=("DownEncoderBlock2D",) * halvings,
        up_block_types=("UpDecoderBlock2D",) * halvings,
        sample_size=PIXELS,
    )
    schedule = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(clip_config(TEXT)),
        tokenizer=clip_tokenizer(folder / "source"),
        unet=unet,
        scheduler=DDIMScheduler(**schedule, clip_sample=False, set_alpha_to_one=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(folder / "model")
    write_pairs(folder / "pickapic")
    words = ["import", "pickapic", str(folder / "pickapic"), "--resolution", str(PIXELS)]
    words += ["--backbone", str(folder / "model"), "--out", str(folder / "shards")]
    subprocess.run([tool("sipo-data"), *words], check=True, env=alone(), capture_output=True)


def write_pairs(folder: Path) -> None:
    """Pick-a-Pic's columns: random colours, coarse enough to be pictures."""
    import numpy as np
    import pyarrow
    from PIL import Image
    from pyarrow import parquet

    chance = np.random.default_rng(0)

    def picture() -> bytes:
        coarse = Image.fromarray(chance.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        file = io.BytesIO()
        coarse.resize((PIXELS, PIXELS), Image.Resampling.BICUBIC).save(file, "png")
        return file.getvalue()

    rows = [
        {
            "caption": f"picture {number}",
            "jpg_0": picture(),
            "jpg_1": picture(),
            "label_0": float(number % 2),
            "label_1": float(1 - number % 2),
        }
        for number in range(PAIRS)
    ]
    folder.mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet")


def tool(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def run_arm(arm: str, script: Path, steps: int, out: Path) -> None:
    """In a process of its own; leaves out/result.json."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_post_hook

    torch.set_num_threads(1)
    warm = WARM.get(arm, 1)
    stamps: list[float] = []
    register_optimizer_step_post_hook(lambda *_: stamps.append(time.process_time()))
    weighing = [0.0]
    run = run_theirs if arm == "theirs" else run_ours
    first_loss = run(arm, script, warm + steps, out, weighing)
    result = {
        "first_loss": first_loss,
        "seconds": stamps[warm + steps - 1] - stamps[warm - 1],
        "weighing": weighing[0] / (warm + steps) * steps,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / MIB,
    }
    (out / "result.json").write_text(json.dumps(result), encoding="utf-8")


def run_theirs(arm: str, script: Path, steps: int, out: Path, weighing: list[float]) -> float:
    """The script as it is; what it logs is listened to."""
    import importlib.machinery

    from accelerate import Accelerator

    wandb = types.ModuleType("wandb")
    wandb.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
    sys.modules["wandb"] = wandb
    losses: list[float] = []
    log = Accelerator.log

    def listening(self: Accelerator, values: dict[str, Any], *rest: Any, **more: Any) -> None:
        losses.append(values["loss"])
        log(self, values, *rest, **more)

    Accelerator.log = listening  # type: ignore[method-assign]
    world = out.parent
    options = {
        "pretrained_model_name_or_path": world / "model",
        "dataset_name": world / "pickapic",
        "dataset_split_name": "train",
        "cache_dir": world / "cache",
        "output_dir": out,
        "resolution": PIXELS,
        "train_batch_size": BATCH,
        "max_train_steps": steps,
        "checkpointing_steps": 10 * steps,
        "learning_rate": 1e-4,
        "lr_scheduler": "constant",
        "lr_warmup_steps": 0,
        "rank": 4,
        "seed": 0,
    }
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    sys.argv = [str(script), "--no_hflip", *words]
    runpy.run_path(str(script), run_name="__main__")
    return losses[0]


def run_ours(arm: str, script: Path, steps: int, out: Path, weighing: list[float]) -> float:
    """sipo-train; what its importance weights take is added up."""
    from sipo.train.cli import main as sipo_train
    from sipo.train.objective import denoising_errors

    weights_of = denoising_errors.batch_weights

    def timed(*given: Any) -> Any:
        began = time.process_time()
        weights = weights_of(*given)
        weighing[0] += time.process_time() - began
        return weights

    denoising_errors.batch_weights = timed
    options = {
        "data": out.parent / "shards",
        "out": out,
        "objective": "diffusion-dpo" if arm == "dpo" else "sipo",
        "train_batch_size": BATCH,
        "max_train_steps": steps,
        "checkpointing_steps": 10 * steps,
        "learning_rate": 1e-4,
        "lr_scheduler": "constant",
        "rank": 4,
    }
    if arm == "cached":
        options["reference_draws"] = 1
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    sipo_train(words, standalone_mode=False)
    rows = map(json.loads, (out / "log.jsonl").read_text(encoding="utf-8").splitlines())
    return next(float(row["loss"]) for row in rows if row["keep"])


def peak() -> float:
    """FLOP/s of one thread, the best of twenty products of 1024 x 1024 float32 matrices."""
    import torch

    torch.set_num_threads(1)
    a, b = torch.randn(2, 1024, 1024).unbind()
    seconds = []
    for _ in range(20):
        began = time.process_time()
        a @ b
        seconds.append(time.process_time() - began)
    return 2 * 1024**3 / min(seconds)


def flops(folder: Path) -> dict[str, float]:
    """Of one step, by side. Attention is counted as the plain products it stands for."""
    import torch
    from diffusers import StableDiffusionPipeline
    from peft import LoraConfig
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    pipeline = StableDiffusionPipeline.from_pretrained(folder / "model")
    unet, rows, side = pipeline.unet.requires_grad_(False), 2 * BATCH, PIXELS // 8
    targets = ["to_k", "to_q", "to_v", "to_out.0"]
    unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=targets))
    noisy, text = torch.randn(rows, 4, side, side), torch.randn(rows, TEXT, TEXT)
    at = torch.zeros(rows, dtype=torch.long)

    def count(call: Any) -> float:
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            call()
        return float(counter.get_total_flops())

    @torch.no_grad()
    def frozen() -> None:
        unet.disable_adapters()
        unet(noisy, at, text)
        unet.enable_adapters()

    @torch.no_grad()
    def encode() -> None:
        pipeline.vae.encode(torch.zeros(rows, 3, PIXELS, PIXELS))
        pipeline.text_encoder(torch.zeros(BATCH, TEXT, dtype=torch.long))

    trained = count(lambda: unet(noisy, at, text).sample.mean().backward())
    uncached = trained + count(frozen)
    theirs = uncached + count(encode)
    return {"theirs": theirs, "ours": uncached, "dpo": uncached, "cached": trained}


def table(measured: dict[str, Any]) -> str:
    """Medians with the lowest and highest run."""
    arms, steps, rate = measured["arms"], measured["steps"], measured["rate"]
    middle = {arm: statistics.median(run["seconds"] for run in runs) for arm, runs in arms.items()}
    lines = [
        f"CPU seconds of {steps} steps, {len(next(iter(arms.values())))} runs, median [lowest, "
        f"highest]; peak {rate / 1e9:.0f} GFLOP/s",
        "| arm | CPU s | times theirs | peak MiB | GFLOP a step | floor, s | over the floor |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm, runs in arms.items():
        seconds = sorted(run["seconds"] for run in runs)
        floor = measured["flops"][arm] * steps / rate
        speed = f"{middle['theirs'] / middle[arm]:.2f}" if "theirs" in middle else ""
        lines.append(
            f"| {arm} | {middle[arm]:.2f} [{seconds[0]:.2f}, {seconds[-1]:.2f}] | {speed} | "
            f"{statistics.median(run['peak_mib'] for run in runs):.0f} | "
            f"{measured['flops'][arm] / 1e9:.1f} | {floor:.2f} | {middle[arm] / floor:.2f} |"
        )
    if "ours" in arms:
        shares = [run["weighing"] / run["seconds"] for run in arms["ours"]]
        lines.append(f"importance weights: {statistics.median(shares):.2%} of a step of ours")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
