"""A small folder of shards that `generate` really made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from written_prompts import write_prompts

from sipo.backbones.base import Backbone
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar

PROMPTS = [
    grammar.single_object("cat"),
    grammar.counting("dog", 2),
    grammar.colors("car", "red"),
    grammar.position("cat", "left of", "dog"),
    grammar.two_object("bus", "boat"),
]


@pytest.fixture(scope="session")
def prompts_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    write_prompts(PROMPTS, path)
    return path


@pytest.fixture(scope="session")
def settings(tiny_folder: Path, prompts_file: Path) -> GenerateSettings:
    """Three shards of two, two and one prompts; `out` is to be replaced."""
    return GenerateSettings(
        backbone=str(tiny_folder),
        prompts=prompts_file,
        judge="fake",
        candidates=4,
        batch_size=3,
        prompts_per_shard=2,
        margin=0.2,
        max_pairs_per_prompt=3,
        workers=1,
    )


@pytest.fixture(scope="session")
def _made(
    settings: GenerateSettings, tiny_backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("made") / "shards"
    asked = settings.model_copy(update={"out": out})
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    return out


@pytest.fixture
def shards(_made: Path, tmp_path: Path) -> Path:
    """A copy to damage at will."""
    return Path(shutil.copytree(_made, tmp_path / "shards"))
