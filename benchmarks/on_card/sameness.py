"""Parts that check numbers: a stopped run against one that was not, bf16 against float32."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from on_card.report import Figures, Report
from on_card.speed import Bench
from safetensors.torch import load_file
from sampled_pairs import SampledPairs
from tiny import tiny_pipeline
from tiny_chroma import tiny_chroma
from tiny_flux import tiny_flux
from tiny_sana import tiny_sana
from tiny_sd3 import tiny_sd3
from tiny_sdxl import tiny_sdxl
from tiny_video import tiny_cogvideox, tiny_wan
from tiny_z_image import tiny_z_image

from sipo.backbones.base import LORA_FILE, Sampler
from sipo.backbones.registry import load_backbone
from sipo.train.settings import make_settings
from sipo.train.stopping import Stopping
from sipo.train.trainer import train

EMBEDDED = "mini-sd"
STEPS = 4
BOUND = 0.1  # of the largest value, as in the tests of the families
MAKERS: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny_pipeline,
    "sd2": partial(tiny_pipeline, prediction_type="v_prediction"),
    "sdxl": tiny_sdxl,
    "flux": tiny_flux,
    "chroma": tiny_chroma,
    "sd3": tiny_sd3,
    "sana": tiny_sana,
    "z_image": tiny_z_image,
    "cogvideox": tiny_cogvideox,
    "wan": tiny_wan,
}


class AfterSteps:
    """Asks a run to stop when it has made so many steps."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0


def resume(bench: Bench, report: Report) -> None:
    for precision in ("no",) if bench.tiny else ("no", "bf16"):
        report.measure(f"mini-sd {precision}", partial(resumed, precision))


def resumed(precision: str) -> Figures:
    """LoRA weights of a run that was stopped half-way and goes on, and of one that was not."""
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        pairs = mini_pairs()
        run(root / "whole", precision, pairs)
        try:
            run(root / "stopped", precision, pairs, Stopping(AfterSteps(STEPS // 2)))
        except KeyboardInterrupt:
            pass
        else:
            raise AssertionError("it was not stopped")
        run(root / "stopped", precision, pairs)
        whole, other = (load_file(root / name / LORA_FILE) for name in ("whole", "stopped"))
    largest = max(float((value - other[name]).abs().max()) for name, value in whole.items())
    return {"equal": largest == 0, "largest_difference": largest, "steps": STEPS}


def mini_pairs() -> SampledPairs:
    backbone = load_backbone(EMBEDDED)
    backbone.default_sampler = Sampler(steps=2, guidance=1.5)
    return SampledPairs(backbone, ["a photo of a cat", "a photo of a dog"])


def run(out: Path, precision: str, pairs: SampledPairs, stopping: Stopping | None = None) -> None:
    given = {"max_train_steps": STEPS, "train_batch_size": 2, "report_to": "none"}
    settings = make_settings(given | {"mixed_precision": precision, "out": str(out)})
    dtype = "bfloat16" if precision == "bf16" else "float32"
    backbone = load_backbone(EMBEDDED, denoiser_only=True, dtype=dtype)
    train(settings, backbone, pairs, stopping)


def parity(bench: Bench, report: Report) -> None:
    for name, make in MAKERS.items():
        report.measure(name, partial(compared, bench, make))


def compared(bench: Bench, make: Callable[[Path], Path]) -> Figures:
    """One prediction: bf16 on the card against float32 on the CPU, relative to the largest value"""
    with tempfile.TemporaryDirectory() as scratch:
        folder = make(Path(scratch) / "model")
        exact = load_backbone(str(folder))
        half = load_backbone(str(folder), denoiser_only=True, dtype="bfloat16")
    half.to(bench.device)
    [record] = SampledPairs(exact, ["a red cat"]).records
    noisy, prompt = record.winner[None], {k: v[None] for k, v in record.conditioning.items()}
    timesteps = torch.tensor([exact.num_train_timesteps // 2])
    with torch.no_grad():
        ours = exact.predict(exact.denoiser, noisy, timesteps, prompt)
        moved = {name: value.to(bench.device) for name, value in prompt.items()}
        theirs = half.predict(
            half.denoiser, noisy.to(bench.device), timesteps.to(bench.device), moved
        )
    apart = float((theirs.float().cpu() - ours).abs().max() / ours.abs().max())
    return {"deviation": apart, "bound": BOUND, "within": apart <= BOUND}
