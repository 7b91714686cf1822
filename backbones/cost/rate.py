"""Seconds that one device takes for an image and for a pair, and where they are from."""

from __future__ import annotations

from dataclasses import dataclass

from sipo.backbones.cost import cards
from sipo.backbones.cost.counted import Counted


@dataclass(frozen=True)
class Rate:
    image_s: float  # sampling an image or clip
    pair_s: float  # training a LoRA on a pair
    sources: tuple[str, ...]  # what is measured, what counted, what assumed


@dataclass(frozen=True)
class Device:
    """What is said of it; `share` of its peak, where that is not as measured."""

    name: str
    tflops: float
    share: float | None = None


def counted_rate(
    model: Counted,
    device: Device,
    steps: int | None = None,
    guidance: float | None = None,
    latents: tuple[int, ...] | None = None,
) -> Rate:
    """Of a model of the table: operations by what the device does of them in a second."""
    steps, latents = steps or model.steps, latents or model.latents
    row, rows = model.forward(latents), cards.rows_of(model, guidance)
    sampling = device.share or cards.reached(model)
    training = cards.TRAINING_SHARE * device.share if device.share else None
    training = training or cards.reached_training(model)
    peak = device.tflops * 1e12
    slower = cards.TFLOPS[cards.MEASURED_ON] / device.tflops
    image_s = steps * rows * row / (sampling * peak) + slower * cards.rest_s(model, latents)
    pair_s = cards.PASSES * row / (training * peak)
    own = model.name in cards.SAMPLED and not device.share
    by = f"as measured with {cards.measured_like(model).name} on an H100"
    share = "as --share says" if device.share else by
    on_it = device.tflops == cards.TFLOPS[cards.MEASURED_ON]
    trained = model.name in cards.TRAINED_PAIRS_S and not device.share
    learnt = "measured on an H100" if trained else "assumed"
    times = {1: "once", 2: "twice"}.get(rows, f"{rows} times")
    sources = (
        f"counted: {row / 1e12:.3g} TFLOP a row, asked {times} a step, {steps} steps; "
        f"{cards.PASSES} passes of a row a pair (LoRA, gradient checkpointing)",
        f"{'measured' if own and on_it else 'assumed'}: {sampling:.0%} of {device.tflops:g} "
        f"TFLOP/s reached by sampling, {share}, uncompiled bf16",
        f"{learnt if on_it else 'assumed'}: {training:.0%} reached by training",
    )
    return Rate(image_s, pair_s, sources)


def measured_rate(image_s: float, rows: int, steps: int, what: str) -> Rate:
    """Of any model, by how long an image took with its verdict: a pair by the passes it takes."""
    pass_s = image_s / (rows * steps)
    pair_s = cards.PASSES * pass_s / cards.TRAINING_SHARE
    training = (
        f"assumed: a pair takes {cards.PASSES} passes at {cards.TRAINING_SHARE:.0%} of the speed "
        "that sampling has"
    )
    return Rate(image_s, pair_s, (what, training))
