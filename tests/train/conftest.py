"""Tiny runs: pairs in memory, a tiny UNet, a few steps."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for `from memory_pairs import MemoryPairs`

import pytest
from markupsafe import Markup
from memory_pairs import MemoryPairs, MemoryPrompts, Run

from sipo.pages.chart_kinds import Picture
from sipo.pages.charts import Drawn
from sipo.train.checkpoint_files import RunSummary


@pytest.fixture
def run(tiny_folder: Path, tmp_path: Path) -> Run:
    """Train a few steps into tmp_path/`name`; keywords are settings over the small ones here."""

    def train_tiny(name: str, pairs: MemoryPairs | None = None, **given: Any) -> RunSummary:
        from sipo.backbones.registry import load_backbone
        from sipo.train.build import samples_itself
        from sipo.train.settings import make_settings
        from sipo.train.trainer import train

        small: dict[str, Any] = {"max_train_steps": 4, "train_batch_size": 2, "rank": 2}
        small |= {"checkpointing_steps": 2, "report_to": "none", "out": str(tmp_path / name)}
        settings = make_settings(small | given)
        online = samples_itself(settings)
        samples = online or settings.validation_pairs
        backbone = load_backbone(str(tiny_folder), denoiser_only=not samples)
        data = pairs or (MemoryPrompts() if online else MemoryPairs(5))
        return train(settings, backbone, data)

    return train_tiny


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> list[Picture]:
    """The charts of pages of trainings, which are not drawn: their words stand in the page."""
    charts: list[Picture] = []

    def draw(chart: Picture) -> Drawn:
        charts.append(chart)
        return Drawn(chart, Markup())

    monkeypatch.setattr("sipo.train.monitor.plot.drawn", draw)
    monkeypatch.setattr("sipo.train.monitor.plot.write_png", lambda *given: None)
    return charts
