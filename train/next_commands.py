"""What to type after a training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sipo.backbones.loading.names import is_embedded
from sipo.common.command_words import command
from sipo.train.refusals import model_of
from sipo.train.settings import TrainSettings

if TYPE_CHECKING:
    from sipo.train.checkpoint_files import RunSummary


def after_training(settings: TrainSettings, summary: RunSummary) -> str:
    """Its curves, where it warned; else its evaluation."""
    if summary.warnings:
        return command("sipo-train", "plot", summary.out)
    return _evaluation(Path(summary.out), model_of(settings))


def after_plot(run: Path) -> str:
    from sipo.train.settings import make_settings, read_yaml

    file = run / "settings.yaml"
    settings = make_settings(read_yaml(file)) if file.is_file() else TrainSettings()
    return _evaluation(run, model_of(settings))


def _evaluation(run: Path, model: str) -> str:
    named = None if not model or is_embedded(model) else model
    return command("sipo-geneval", backbone=named, weights=run, out=f"eval/{run.name}")
