"""From what `sipo-data plan` is asked to an estimate, by the table or by two images."""

from __future__ import annotations

from dataclasses import replace
from math import prod

from sipo.backbones.cost.cards import MEASURED_ON, TFLOPS
from sipo.backbones.cost.counted import MODELS, Counted, counted
from sipo.backbones.cost.rate import Device, counted_rate, measured_rate
from sipo.datagen.generation.prompts import asked_prompts, without_repeats
from sipo.datagen.planning.estimate import PNG_BYTES, Estimate, Sizes, estimate
from sipo.datagen.planning.settings import PlanSettings
from sipo.datagen.settings import GenerateSettings

TRIED = 2
"""Images of --measure that count."""


def plan_of(settings: PlanSettings) -> Estimate:
    """Raises ValueError for a model that the table does not know, unless it is measured."""
    if settings.measure:
        return _measured(settings)
    model = counted(settings.backbone)
    if model is None:
        known = ", ".join(f"{one.name} ({one.source})" for one in MODELS)
        raise ValueError(
            f"--backbone {settings.backbone!r} is none of the models that were counted ({known}); "
            "give --measure, which samples two images of it"
        )
    _refuse(settings, model)
    device = device_of(settings)
    latents = model.sized(settings.height, settings.width, settings.frames)
    rate = counted_rate(model, device, settings.steps, settings.guidance, latents)
    pixels = prod(latents[-2:]) * model.side_px**2
    picture = 0.0 if model.is_video else PNG_BYTES * pixels
    sizes = Sizes(picture, 4 * prod(latents), 2 * model.text_values)
    looks = settings.judged_frames if model.is_video else 1
    return estimate(settings, _count(settings), rate, sizes, looks)


def device_of(settings: PlanSettings) -> Device:
    if settings.device_tflops is not None:
        return Device("device", settings.device_tflops, settings.share)
    card = settings.card or MEASURED_ON
    return Device(card, TFLOPS[card], settings.share)


def _refuse(settings: PlanSettings, model: Counted) -> None:
    if settings.frames is not None and not model.is_video:
        raise ValueError(
            f"--frames {settings.frames} has no effect: {settings.backbone!r} makes images, not "
            "clips; leave it out"
        )
    if settings.dtype not in ("auto", "bfloat16"):
        raise ValueError(
            f"--dtype {settings.dtype!r}: rates are bfloat16's; leave it out, or give --measure"
        )


def _count(settings: GenerateSettings) -> int:
    return len(without_repeats(asked_prompts(settings)))


def _measured(settings: PlanSettings) -> Estimate:
    """As `generate` would begin, in one process, with two candidates of it; one more before them,
    since the first waits for kernels and libraries."""
    from sipo.datagen.generation.build import prepare
    from sipo.datagen.generation.dry_run import measured

    job = replace(prepare(settings, continuing=False), workers=1)
    backbone, sampler = job.backbone, job.sampler
    text = sum(row.nbytes for row in backbone.encode_prompts([""]).values())
    measured(job, 1)
    made = measured(job, TRIED)
    rows = backbone.rows_a_step(sampler.guidance)
    what = (
        f"measured: {made.candidates} images sampled, judged and encoded here on "
        f"{job.config.device} by one process, {made.seconds:.3g} s each"
    )
    rate = measured_rate(made.seconds, rows, sampler.steps, what)
    sizes = Sizes(made.bytes - made.latents, made.latents, text)
    return estimate(settings, len(job.prompts), rate, sizes, looks=0)
