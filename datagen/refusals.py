"""What can be seen to fail before anything is done, and before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path

from sipo.backbones.cost.counted import counted
from sipo.backbones.loading.bits import check_bits
from sipo.backbones.loading.names import in_embedded_world, is_embedded
from sipo.common.drivers import check_device
from sipo.common.files.disk_room import require_room
from sipo.datagen.folder_settings import CalibrateJudgeSettings, JudgeAgainSettings
from sipo.datagen.generation.prompts import (
    asked_prompts,
    check_pictures,
    check_some,
    source_of,
    without_repeats,
)
from sipo.datagen.planning.estimate import PNG_BYTES
from sipo.datagen.settings import GenerateSettings, check_models
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.judge_needs import check_judge_weights
from sipo.feedback.prompts.demands import check_prompts, require_published
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import vocabulary_of

EMBEDDED_BYTES = 12_000
"""Of a candidate of 64 px: picture, latents, verdict, tar headers; of 2,044 the mean."""


def refuse_impossible(settings: GenerateSettings) -> None:
    """Raises ValueError for prompts, judge, model, device or disk that cannot do it, the cheapest
    to see first; the rest is found by `prepare`."""
    check_device(settings.device)
    check_bits(settings.quantize)
    check_models(settings)
    prompts = without_repeats(asked_prompts(settings))
    check_some(prompts)
    check_pictures(prompts)
    check_judge(settings, prompts)
    named = settings.judge, settings.judge_weights, vocabulary_of(prompts)
    check_judge_weights(*named, settings.judge_settings)
    require_room(settings.out, len(prompts) * settings.candidates * candidate_bytes(settings))


def check_judge(settings: GenerateSettings, prompts: Sequence[Prompt]) -> None:
    """Raises ValueError for a judge that lacks weights, or can judge none of the prompts."""
    if not in_embedded_world(settings.backbone, settings.suite):
        require_published(settings.judge, settings.judge_weights)
    check_prompts(settings.judge, prompts, source_of(settings), settings.judge_settings)


def candidate_bytes(settings: GenerateSettings) -> float:
    """Picture and latents of one, for embedded and counted models; 0 where nothing is known."""
    if is_embedded(settings.backbone):
        return EMBEDDED_BYTES
    if (model := counted(settings.backbone)) is None:
        return 0.0
    latents = model.sized(settings.height, settings.width, settings.frames)
    picture = 0.0 if model.is_video else PNG_BYTES * prod(latents[-2:]) * model.side_px**2
    return picture + 4 * prod(latents)


def refuse_impossible_judging(settings: JudgeAgainSettings) -> None:
    """The same of judging a folder again."""
    folder = open_folder(settings.shards)
    prompts, source = folder.prompts, folder.path / "prompts.jsonl"
    check_prompts(settings.judge, prompts, source, settings.judge_settings)
    named = settings.judge, settings.judge_weights, vocabulary_of(prompts)
    check_judge_weights(*named, settings.judge_settings)
    require_room(settings.out or settings.shards)


def refuse_impossible_calibration(settings: CalibrateJudgeSettings, known: Sequence[str]) -> None:
    named = settings.judge, settings.judge_weights, known
    check_judge_weights(*named, settings.judge_settings)
    require_room(Path(settings.out).absolute().parent)
