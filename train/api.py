"""Training from Python: `sipo.train`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.python_api import given, takes
from sipo.train.settings import TrainSettings
from sipo.train.train_defaults import complete

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone
    from sipo.train.checkpoint_files import RunSummary
    from sipo.train.data.pair_batches import Data


@takes(TrainSettings)
def train(
    data: str | Path | Sequence[str | Path] | Data | None = None,
    *,
    backbone: str | Path | Backbone | None = None,
    out: str | Path | None = None,
    settings: TrainSettings | None = None,
    **options: object,
) -> RunSummary:
    """Train a policy on preference pairs: LoRA or whole model, SIPO or its relatives.

    `data`: one or several folders of shards, or a dataset of one's own (train/data/pair_batches.py
    has what it must give). `backbone`: a name, folder or hub id, by default what the shards say, or
    one that is loaded, whose denoiser is then trained in place. Every other setting of `sipo-train`
    is a keyword, and goes over what `settings` says. The same call again goes on where it stopped.

    Returns what `summary.json` holds. Raises ValueError for what cannot be met, FloatingPointError
    when the loss is no longer finite, TypeError for a keyword that is none.
    """
    from sipo.train.distributed.cpu_launcher import train_on_cores
    from sipo.train.trainer import train as run

    loaded = None if backbone is None or isinstance(backbone, str | Path) else backbone
    folders, dataset = _folders(data), _dataset(data)
    name = None if loaded else backbone
    said = given(settings, options, data=folders, backbone=name, out=out)
    said = {k: str(v) if isinstance(v, Path) else v for k, v in said.items()}
    asked = complete(said, loaded.name if loaded else "").settings
    if dataset is None and not asked.data:
        raise ValueError("--data is missing; give a folder of shards that sipo.generate wrote")
    if loaded is None and dataset is None:
        return train_on_cores(asked)
    return run(asked, loaded, dataset)


def _folders(data: str | Path | Sequence[str | Path] | Data | None) -> list[str] | None:
    if isinstance(data, str | Path):
        return [str(data)]
    return [str(folder) for folder in data] if isinstance(data, Sequence) else None


def _dataset(data: str | Path | Sequence[str | Path] | Data | None) -> Data | None:
    return None if isinstance(data, str | Path | Sequence) else data
