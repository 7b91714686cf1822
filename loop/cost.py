"""What a loop takes of a card, where its model was counted: a line of `--dry-run`."""

from __future__ import annotations

from sipo.backbones.cost.cards import JUDGED_S, MEASURED_ON, TFLOPS
from sipo.backbones.cost.counted import counted
from sipo.backbones.cost.rate import Device, counted_rate
from sipo.common.amounts import duration
from sipo.geneval.settings import EvalSettings, wanted_prompts
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.refusals import no_test
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import evaluation, final_test, training, turns_of


def cost_lines(settings: LoopSettings) -> list[str]:
    """None of a model that was not counted. Rounds that are rejected take longer."""
    if (model := counted(settings.backbone)) is None:
        return []
    latents = model.sized(settings.height, settings.width, settings.frames)
    device = Device(MEASURED_ON, TFLOPS[MEASURED_ON])
    rate = counted_rate(model, device, settings.steps, settings.guidance, latents)
    sampled = settings.num_prompts * settings.candidates * turns_of(settings)
    looked_at = _images(evaluation(settings, BASE))
    images = settings.rounds * (sampled + looked_at) + looked_at
    if no_test(settings) is None:
        tests = settings.rounds + 1 if settings.test_every_round else 2
        images += tests * _images(final_test(settings, BASE))
    asked = training(settings, Attempt(1), BASE)
    step = asked.train_batch_size * asked.gradient_accumulation_steps
    pairs = settings.rounds * (asked.max_train_steps or settings.max_train_steps) * step
    sampling_s, training_s = images * (rate.image_s + 1 / JUDGED_S), pairs * rate.pair_s
    return [
        f"Cost       {duration(sampling_s + training_s)} of one {MEASURED_ON}: "
        f"{duration(sampling_s)} for {images:,} images, {duration(training_s)} for {pairs:,} pairs",
        *(f"  {source}" for source in rate.sources),
    ]


def _images(settings: EvalSettings) -> int:
    return len(wanted_prompts(settings)) * settings.images_per_prompt
