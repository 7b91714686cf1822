"""What to type after a command that made, changed or looked at a folder of shards."""

from __future__ import annotations

from pathlib import Path

from sipo.common.command_words import command
from sipo.datagen.folder_settings import ExportSettings
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import NOBODY, FolderConfig
from sipo.datagen.storage.folder_summary import FolderSummary

MODEL = "stable-diffusion-v1-5/stable-diffusion-v1-5"
"""Of an import nobody can know it."""


def after_shards(shards: Path, summary: FolderSummary | None = None) -> str:
    """What the folder lacks to be trained on, else the training."""
    config = FolderConfig.read(shards)
    if config.judge.id == NOBODY:
        return command("sipo-data", "judge", shards, judge="mask2former")
    if summary and not summary.pairs:
        return command("sipo-data", "pair", shards, margin=f"{config.margin / 2:g}")
    if not config.encoded:
        return command("sipo-data", "encode", shards, backbone=MODEL)
    return command("sipo-train", data=shards, out=f"runs/{shards.name or 'first'}")


def generate_command(settings: GenerateSettings) -> str:
    """Of what `plan` was asked, for the devices that it was asked about."""
    given = {
        name: getattr(settings, name)
        for name in GenerateSettings.model_fields
        if name in settings.model_fields_set and name != "devices"
    }
    return command("sipo-data", "generate", **given)


def after_export(settings: ExportSettings) -> str:
    """The one reader that knows all the formats; of WebDataset it would take the indexes first."""
    named = repr(str(settings.out))
    if settings.format == "webdataset":
        named = f"'webdataset', data_files={str(settings.out / '*.tar')!r}"
    return command(
        "python", "-c", f"from datasets import load_dataset; print(load_dataset({named}))"
    )
