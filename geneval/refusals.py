"""What can be seen to fail before anything is done, and before torch is imported."""

from __future__ import annotations

from sipo.backbones.loading.bits import check_bits
from sipo.common.drivers import check_device
from sipo.common.files.disk_room import require_room
from sipo.feedback.judge_needs import check_judge_weights
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.registry import vocabulary_of
from sipo.geneval.settings import EvalSettings, wanted_prompts

IMAGE_BYTES = 2_000
"""Of an image at least: a PNG of the embedded world has 4,000."""


def refuse_impossible(settings: EvalSettings) -> None:
    """Raises ValueError for prompts, judge, model, device or disk that cannot do it, the cheapest
    to see first; of prompts that lie with images the rest is found later."""
    check_device(settings.device)
    check_bits(settings.quantize)
    settings.check()
    prompts = wanted_prompts(settings)
    source = settings.prompts or settings.suite or "mini"
    if prompts:
        check_prompts(settings.judge, prompts, source, settings.judge_settings)
    named = settings.judge, settings.judge_weights, vocabulary_of(prompts)
    check_judge_weights(*named, settings.judge_settings)
    images = 0 if settings.images else len(prompts) * settings.images_per_prompt
    require_room(settings.out, IMAGE_BYTES * images)
