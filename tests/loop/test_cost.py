"""What `--dry-run` says a loop takes of a card."""

from __future__ import annotations

import re

from sipo.backbones.cost.cards import JUDGED_S, TFLOPS
from sipo.backbones.cost.counted import counted
from sipo.backbones.cost.rate import Device, counted_rate
from sipo.common.amounts import duration
from sipo.feedback.prompts.suites import load_suite
from sipo.loop.cost import cost_lines
from sipo.loop.settings import LoopSettings

FLUX = "black-forest-labs/FLUX.1-dev"


def test_all_rounds_and_evaluations_are_in_it() -> None:
    settings = LoopSettings(backbone=FLUX, rounds=2, num_prompts=100, candidates=4)
    said = cost_lines(settings.model_copy(update={"test_suite": "none"}))
    model = counted(FLUX)
    assert model is not None
    rate = counted_rate(model, Device("h100", TFLOPS["h100"]))
    [found] = re.findall(r"for ([\d,]+) images", said[0])
    images = int(found.replace(",", ""))
    held_out = len(load_suite("geneval-validation")) * settings.images_per_prompt
    assert images == 2 * 400 + 3 * held_out  # the base and two rounds
    pairs = 2 * settings.max_train_steps * settings.train_batch_size
    assert f"{duration(pairs * rate.pair_s)} for {pairs:,} pairs" in said[0]
    assert f"{duration(images * (rate.image_s + 1 / JUDGED_S))} for {images:,} images" in said[0]
    assert said[2].strip().startswith("measured")


def test_of_another_model_nothing_is_said() -> None:
    assert cost_lines(LoopSettings()) == []
