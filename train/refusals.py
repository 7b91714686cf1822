"""What can be seen to fail before anything is done, and before torch is imported."""

from __future__ import annotations

from pathlib import Path

from sipo.backbones.loading.bits import check_bits
from sipo.backbones.loading.names import check_backbone, in_embedded_world
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.drivers import may_have_card
from sipo.common.files.disk_room import require_room
from sipo.common.files.urls import place_of
from sipo.datagen.storage.folder_config import FILE, FolderConfig
from sipo.datagen.storage.shard_folder import PROMPTS, read_folder, split_shards
from sipo.feedback.judge_needs import check_judge_weights
from sipo.feedback.prompts.demands import require_published
from sipo.feedback.prompts.prompt import read_prompts
from sipo.feedback.registry import vocabulary_of
from sipo.train.monitor.report_to import require_trackers
from sipo.train.settings import TrainSettings
from sipo.train.train_defaults import sampled_from

NO_FP16 = "--mixed_precision 'fp16' needs a GPU; use bf16 or no"
SAMPLING = ("d3po",)
"""Objectives of ours that sample and judge while they train."""


def refuse_impossible(settings: TrainSettings) -> None:
    """Raises ValueError for data, judges, model, device or disk that cannot do it, the cheapest to
    see first; the rest is found where data and model are opened."""
    if not settings.data:
        raise ValueError("--data is missing; give a folder of shards that sipo-data wrote")
    if settings.mixed_precision == "fp16" and not may_have_card():
        raise ValueError(NO_FP16)
    check_bits(settings.quantize)
    require_trackers(settings.report_to)
    if settings.init_weights:
        check_weights(settings.init_weights, "--init_weights")
    folders = [split_shards(text)[0] for text in settings.data]
    for folder in folders[: 1 if settings.steps_per_folder else None]:  # others come later
        require_folder(folder)
        read_folder(folder)
    require_room(place_of(settings.out))
    _check_judges(settings, folders)
    if settings.backbone:
        check_backbone(settings.backbone)


def model_of(settings: TrainSettings) -> str:
    """The base model as far as it is told without its weights; "" where it is not."""
    folders = [split_shards(text)[0] for text in settings.data]
    if found := settings.backbone or sampled_from(folders):
        return found
    if not folders or not (folders[0] / FILE).is_file():
        return ""
    return FolderConfig.read(folders[0]).backbone.name


def require_folder(folder: Path) -> None:
    """Raises ValueError for a file that was given as --data."""
    if folder.is_file():
        raise ValueError(f"--data {str(folder)!r} is a file; give the folder of shards")


def _check_judges(settings: TrainSettings, folders: list[Path]) -> None:
    """Those that this run asks."""
    asked: list[tuple[str, str, str, list[Path]]] = []
    if settings.validation_pairs:
        own = settings.validation_prompts
        prompts = [Path(own)] if own else [folder / PROMPTS for folder in folders]
        judge = settings.validation_judge, settings.validation_judge_weights
        asked.append((*judge, "--validation_judge", prompts))
    if settings.objective in SAMPLING:
        prompts = [folder / PROMPTS for folder in folders]
        asked.append((settings.judge, settings.judge_weights, "--judge", prompts))
    for name, weights, option, files in asked:
        if settings.backbone and not in_embedded_world(settings.backbone):
            require_published(name, weights, option, f"{option}_weights")
        known = [prompt for file in files if file.is_file() for prompt in read_prompts(file)]
        check_judge_weights(name, weights or None, vocabulary_of(known), option=option)
