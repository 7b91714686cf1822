"""Parts that measure speed and memory: the card itself, sampling, training, judging."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from on_card.models import Build
from on_card.report import Figures, Report, now, peak_gb
from PIL import Image
from published import SCHEDULE
from sizes import Sizes, measure, passes_of
from torch import Tensor

from sipo.backbones.base import Conditioning
from sipo.backbones.faster import speed_up
from sipo.backbones.fitting import sample_fitting
from sipo.backbones.loading.quantized import LIBRARIES, quantization, stored
from sipo.backbones.pipeline import PipelineBackbone
from sipo.backbones.placement import place
from sipo.datagen.storage.pair_dataset import LatentPair
from sipo.feedback.prompts.grammar import two_object
from sipo.train.build import make_accelerator
from sipo.train.policy import Policy
from sipo.train.run_length import make_plan, memory_bytes
from sipo.train.settings import TrainSettings, make_settings
from sipo.train.trainer import Trainer

DTYPES = {"bf16": torch.bfloat16, "fp32": torch.float32}
FEW_STEPS = 4
counted_sizes = cache(measure)
"""Counting takes seconds a model."""
COMPILE = "compile"
"""Of sampling; no setting of sipo-train: there diffusers' regional compilation, by hand."""
_CACHE = {"cache": "first-block=0.08"}
FASTER: dict[str, Mapping[str, object]] = {
    "cached": _CACHE,
    "compiled": {COMPILE: True},
    "compiled, fp8": {COMPILE: True, "fp8": True},
    "compiled, cached": {COMPILE: True, **_CACHE},
    "compiled, fp8, cached": {COMPILE: True, "fp8": True, **_CACHE},
}
TIMED_STEPS, TINY_TIMED_STEPS = 3, 1
ARMS: dict[str, dict[str, object]] = {
    "checkpointing": {"gradient_checkpointing": True},
    "checkpointing, cached reference": {"gradient_checkpointing": True, "reference_draws": 1},
    "plain": {},
    "cached reference": {"reference_draws": 1},
}
ON_A_CARD: dict[str, dict[str, object]] = {
    "compiled": {COMPILE: True},
    "fp16": {"mixed_precision": "fp16"},
    **{name: {"quantize": name, "gradient_checkpointing": True} for name in LIBRARIES},
}
MOST_SAVED = 3e9  # parameters of a model that is quantized: it is written to the disk first


@dataclass
class Bench:
    """`peaks` are the measured operations a second by dtype, once `card` has run."""

    device: torch.device
    builds: list[Build]
    tiny: bool
    peaks: dict[str, float]

    def share(self, operations: float, seconds: float, dtype: str) -> float | None:
        peak = self.peaks.get(dtype)
        return operations / seconds / peak if peak else None


def card(bench: Bench, report: Report) -> None:
    report.measure("machine", partial(machine, bench.device))
    for name, dtype, precision in (
        ("fp32, no TF32", torch.float32, "highest"),
        ("fp32", torch.float32, "high"),
        ("bf16", torch.bfloat16, "high"),
    ):
        report.measure(f"matmul {name}", partial(matmul, bench, name, dtype, precision))


def machine(device: torch.device) -> Figures:
    found: Figures = {"torch": torch.__version__, "cuda": torch.version.cuda}
    if device.type != "cuda":
        return found | {"name": "CPU"}
    asked = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    properties = torch.cuda.get_device_properties(device)
    found |= {"name": properties.name, "memory_gb": properties.total_memory / 1e9}
    driver = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    return found | {"driver": driver.strip()}


def matmul(bench: Bench, name: str, dtype: torch.dtype, precision: str) -> Figures:
    """Operations a second of a square product: 2 n³ (a multiply and an add are two)."""
    side, times = (128, 2) if bench.tiny else (8192, 20)
    torch.set_float32_matmul_precision(precision)
    one, other = (torch.randn(side, side, device=bench.device, dtype=dtype) for _ in range(2))
    for _ in range(3):
        one @ other
    began = now()
    for _ in range(times):
        one @ other
    bench.peaks[name] = 2 * side**3 * times / (now() - began)
    return {"flop_s": bench.peaks[name], "side": side}


def sampling(bench: Bench, report: Report) -> None:
    """All models in bf16 first, then FLUX faster; what is left of the time goes to fp32."""
    for build in bench.builds:
        report.measure(f"{build.model.name} bf16", partial(sampled, bench, build, "bf16"))
    for build in bench.builds:
        for name, given in FASTER.items() if build.model.name.startswith("FLUX") else ():
            if bench.device.type == "cuda" or not given.get(COMPILE):
                work = partial(sampled, bench, build, "bf16", given)
                report.measure(f"{build.model.name} bf16, {name}", work)
    for build in bench.builds:
        report.measure(f"{build.model.name} fp32", partial(sampled, bench, build, "fp32"))


def sampled(
    bench: Bench, build: Build, dtype: str, given: Mapping[str, object] | None = None
) -> Figures:
    """A batch as `generate` samples it with a few steps; a whole one's time is extrapolated. With
    a cache all steps are made; the share that is computed is random weights' and no real model's.
    """
    backbone: Any = build.whole(DTYPES[dtype], bench.device)
    place(backbone, bench.device, offload=False)
    sampler = type(build.sampler).model_validate(build.sampler.model_dump() | dict(given or {}))
    speed_up(backbone, sampler)
    texts, seeds = ["a red cat beside a dog"] * build.images, range(build.images)
    steps = sampler.steps if sampler.cache else min(FEW_STEPS, sampler.steps)
    few = sampler.model_copy(update={"steps": steps})
    first = few if sampler.cache else few.model_copy(update={"steps": 1})
    sample_fitting(backbone, texts, seeds, first)  # kernels are chosen and compiled
    with timed_calls(backbone.denoiser) as calls:
        began = now()
        made = sample_fitting(backbone, texts, seeds, few)
        total = now() - began
    inside, rows = sum(s for s, _ in calls), sum(r for _, r in calls)
    a_step = inside / few.steps
    batch_s = total - inside + a_step * build.sampler.steps
    kind = "clips" if build.sampler.frames else "images"
    return {
        f"{kind}_s_extrapolated": build.images / batch_s,
        "steps": build.sampler.steps,
        "steps_measured": few.steps,
        "batch": build.images,
        "denoiser_s_a_step": a_step,
        "text_vae_scheduler_s": total - inside,
        "peak_share_of_denoiser": bench.share(
            rows * counted_sizes(build.model).forward, inside, dtype
        ),
        "finite": all(bool(candidate.latents.isfinite().all()) for candidate in made),
        "memory_gb": peak_gb(),
    }


@contextmanager
def timed_calls(network: Any) -> Iterator[list[tuple[float, int]]]:
    """(seconds, rows) of every call."""
    calls: list[tuple[float, int]] = []
    began = [0.0]

    def before(*_: object) -> None:
        began[0] = now()

    def after(_: object, given: tuple[Tensor, ...], named: dict[str, Any], __: object) -> None:
        rows = len(given[0] if given else named["hidden_states"])
        calls.append((now() - began[0], rows))

    hooks = [
        network.register_forward_pre_hook(before),
        network.register_forward_hook(after, with_kwargs=True),
    ]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()


class RandomPairs:
    """Latents and embeddings of a model's shapes, in memory."""

    def __init__(self, build: Build) -> None:
        chance = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=chance)

        def prompt() -> Conditioning:
            return {name: draw(*shape) for name, shape in build.model.prompt.items()}

        self.meta: dict[str, object] = {"backbone": {"name": build.model.name}}
        self.empty = prompt()
        shape = build.model.latents
        self.records = [
            LatentPair(f"pair-{n}", "", "", draw(*shape), draw(*shape), prompt(), margin=1.0)
            for n in range(build.pairs)
        ]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> LatentPair:
        return self.records[index]

    def fingerprint(self) -> str:
        return f"random {len(self)}"


def training(bench: Bench, report: Report) -> None:
    """Arm by arm, so that each model has its first ones when the time is over."""
    for arm, options in (ARMS if bench.tiny else ARMS | ON_A_CARD).items():
        for build in bench.builds:
            counted = counted_sizes(build.model)
            if "quantize" in options and counted.parameters > MOST_SAVED:
                continue
            name = f"{build.model.name}, {arm}"
            report.measure(name, partial(trained, bench, build, counted, options))


def trained(bench: Bench, build: Build, counted: Sizes, options: dict[str, object]) -> Figures:
    """sipo-train's own steps on a LoRA of rank 16 over the base in bf16."""
    steps = TINY_TIMED_STEPS if bench.tiny else TIMED_STEPS
    with tempfile.TemporaryDirectory() as out:
        small = {"out": out, "report_to": "none", "max_train_steps": 1 + steps}
        small |= {"train_batch_size": build.pairs, "mixed_precision": "bf16", "rank": 16}
        settings = make_settings(small | {k: v for k, v in options.items() if k != COMPILE})
        backbone = denoiser_of(build, bench.device, settings)
        pairs = RandomPairs(build)
        accelerator, plan = make_accelerator(settings), make_plan(settings, len(pairs))
        policy = Policy(backbone, settings)
        if COMPILE in options:
            compiled(policy.denoiser)
        trainer = Trainer(settings, plan, accelerator, policy, pairs)
        trainer.step()  # kernels are chosen, reference errors cached
        began = now()
        for _ in range(steps):
            trainer.step()
        step_s = (now() - began) / steps
    trainable = sum(parameter.numel() for parameter in policy.trainable().values())
    state = policy.denoiser.state_dict().values()
    weights = sum(part.nbytes for value in state for part in stored(value))
    checkpointed = settings.gradient_checkpointing
    # of a pair, in forward passes of a row; cached, the reference's is left out
    passes = passes_of({"gradient_checkpointing": checkpointed})
    passes -= 2 if settings.reference_draws else 0
    activations = build.pairs * (counted.activations if checkpointed else counted.kept)
    return {
        "pairs_s": build.pairs / step_s,
        "batch": build.pairs,
        "peak_share": bench.share(passes * counted.forward * build.pairs, step_s, "bf16"),
        "memory_gb": peak_gb(),
        "predicted_without_activations_gb": memory_bytes(settings, weights, trainable)["sum"] / 1e9,
        "predicted_activations_gb": activations / 1e9,
    }


def denoiser_of(build: Build, device: torch.device, settings: TrainSettings) -> PipelineBackbone:
    """As sipo-train loads it; diffusers quantizes only what it reads from files."""
    dtype = torch.bfloat16 if settings.mixed_precision == "bf16" else torch.float32
    backbone = build.denoiser_only(dtype, device)
    if settings.quantize == "no":
        return backbone
    with tempfile.TemporaryDirectory() as folder:
        backbone.denoiser.save_pretrained(folder)
        network = build.family.denoiser_class.from_pretrained(
            folder,
            torch_dtype=dtype,
            quantization_config=quantization(settings.quantize, dtype),
            low_cpu_mem_usage=True,
        )
    return build.family(build.model.name, network.eval(), SCHEDULE)


def compiled(network: Any) -> None:
    if network._repeated_blocks:
        network.compile_repeated_blocks()
    else:
        network.compile()


def judge(bench: Bench, report: Report) -> None:
    for batch in (1, 2) if bench.tiny else (1, 16):
        report.measure(f"yolo-world batch {batch}", partial(judged, bench, batch))


def random_yolo_world(bench: Bench) -> Any:
    """YOLO-World-x, 80 classes, 640 px, colours by pixels; of random weights, so few boxes."""
    from sipo.feedback.detectors.yolo_judge import YoloWorldJudge
    from sipo.feedback.detectors.yolo_world import WorldNetwork, quiet_ultralytics

    quiet_ultralytics()
    from ultralytics.nn.tasks import WorldModel

    classes = ("cat", "dog", *(f"class {n}" for n in range(78)))
    size, side = ("s", 64) if bench.tiny else ("x", 640)
    model = WorldModel(f"yolov8{size}-worldv2.yaml", nc=len(classes), verbose=False)
    network = WorldNetwork(model, len(classes), bench.device)
    texts = torch.randn(len(classes), 512)
    return YoloWorldJudge(network, texts, classes, description={}, image_px=side)


def judged(bench: Bench, images: int) -> Figures:
    watcher = random_yolo_world(bench)
    seen = [Image.effect_noise((512, 512), 90).convert("RGB") for _ in range(images)]
    asked, times = [two_object("cat", "dog")] * images, 1 if bench.tiny else 10
    watcher.judge(seen, asked)
    began = now()
    for _ in range(times):
        watcher.judge(seen, asked)
    return {"images_s": images * times / (now() - began), "memory_gb": peak_gb()}
