"""How fast cards are: published peaks, and what was reached of one of them (docs/log.md, "the first
card"). Another card is assumed to reach the same share of its peak."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from sipo.backbones.cost.counted import MODELS, Counted

TFLOPS = {
    "a100": 312.0,  # NVIDIA A100 datasheet, without sparsity
    "b200": 2250.0,  # NVIDIA DGX B200 datasheet: 36 PFLOPS of eight with sparsity, half without
    "h100": 989.4,  # NVIDIA H100 SXM datasheet: 1,979 with sparsity, half without
    "h100-pcie": 756.0,  # the same datasheet: 1,513 with sparsity, half without
    "h200": 989.4,  # NVIDIA H200 SXM datasheet: as the H100's
    "l40s": 362.05,  # NVIDIA L40S datasheet, without sparsity
    "mi300x": 1307.4,  # AMD Instinct MI300X datasheet, without sparsity
    "rtx4090": 165.2,  # NVIDIA Ada whitepaper: bf16 products summed in float32, without sparsity
}
"""Published dense bf16 peaks; none but the H100 was used by us."""
MEASURED_ON = "h100"


@dataclass(frozen=True)
class Sampled:
    """A measured batch: seconds of the denoiser for a step, and of all the rest for the batch."""

    images: int
    step_s: float
    rest_s: float  # text, VAE, scheduler


SAMPLED = {
    "SD 1.5": Sampled(8, 0.059, 0.25),
    "SDXL 1.0": Sampled(4, 0.160, 0.51),
    "FLUX.1-dev": Sampled(2, 0.368, 0.32),
    "CogVideoX 2B": Sampled(1, 0.637, 2.7),
    "Wan 2.1 1.3B": Sampled(1, 1.31, 4.1),
}
"""H100, uncompiled bf16, random weights at published sizes, guidance on."""
TRAINED_PAIRS_S = {"SD 1.5": 20.0, "SDXL 1.0": 3.46}
"""H100, LoRA, bf16, gradient checkpointing. FLUX.1-dev failed there; the others were not tried."""
TRAINING_SHARE = 0.57
"""Of what sampling reaches, the mean of those two: what training others is assumed to reach."""
PASSES = 8
"""Of a row a pair, each row's policy, reference, policy again, backward through a frozen base."""
JUDGED_S = 115.0
"""Images a second of YOLO-World-x at 640 px in batches of 16; every judge is taken to be as fast,
on every card."""


def rows_of(model: Counted, guidance: float | None) -> int:
    """Asked for an image a step."""
    return 1 if guidance is not None and guidance <= model.guided_above else model.rows


def reached(model: Counted) -> float:
    """Share of the published peak that its sampling reached, or that of what it is taken for."""
    if model.name not in SAMPLED:
        model = measured_like(model)
    made = SAMPLED[model.name]
    row = model.forward(model.latents)
    return row * model.rows * made.images / made.step_s / (TFLOPS[MEASURED_ON] * 1e12)


def reached_training(model: Counted) -> float:
    """As `reached`, of training a LoRA."""
    pairs_s = TRAINED_PAIRS_S.get(model.name)
    if pairs_s is None:
        return TRAINING_SHARE * reached(model)
    return PASSES * model.forward(model.latents) * pairs_s / (TFLOPS[MEASURED_ON] * 1e12)


def rest_s(model: Counted, latents: tuple[int, ...]) -> float:
    """Of an image or clip on the H100, beside its denoiser; as the places of its picture."""
    whole = measured_like(model)
    made = SAMPLED[whole.name]
    pixels = prod(latents[1:]) * model.side_px**2
    return made.rest_s / made.images * pixels / (prod(whole.latents[1:]) * whole.side_px**2)


def measured_like(model: Counted) -> Counted:
    name = model.name if model.name in SAMPLED else model.like
    return next(one for one in MODELS if one.name == name)
