"""Batch size is no part of what a folder is, and halves where memory runs out."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from small_memory import Small

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed

from sipo.backbones.base import Backbone
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.ensemble import EnsembleJudge
from sipo.feedback.fake import FakeJudge


def made(settings: GenerateSettings, out: Path, backbone: Any, judge: Any = None) -> Path:
    asked = settings.model_copy(update={"out": out})
    generate(asked, backbone=backbone, judge=judge or FakeJudge(), progress=False)
    return out


def bytes_of(folder: Path) -> dict[str, bytes]:
    """All but what config.json says it was begun with."""
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
    config = json.loads(files["config.json"])
    return files | {"config.json": json.dumps(config | {"batch_size": None}).encode()}


def test_out_of_memory_halves_the_batch(
    settings: GenerateSettings,
    tiny_backbone: Backbone,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The folder is that of the smaller size, to the byte."""
    two, four = (settings.model_copy(update={"batch_size": size}) for size in (2, 4))
    whole = made(two, tmp_path / "two", tiny_backbone)
    small = Small(tiny_backbone, 2)
    halved = made(four, tmp_path / "four", small)
    assert bytes_of(halved) == bytes_of(whole)
    assert small.sizes == [4] + [2] * 10
    assert [record.getMessage() for record in caplog.records] == [
        "sampling 4 at a time ran out of memory; going on with 2 at a time"
    ]


def test_a_picture_that_is_too_large_is_one_sentence(
    settings: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    says = r"sampling ran out of memory with --batch-size 1 \(CUDA .*\); give --offload"
    with pytest.raises(ValueError, match=says):
        made(settings, tmp_path / "out", Small(tiny_backbone, 0))


def test_no_prompt_is_parted_before_a_majority(
    settings: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    judge = EnsembleJudge(["fake", "fake"], [FakeJudge(), FakeJudge()], [1, 2], "majority")
    four = settings.model_copy(update={"batch_size": 4})
    whole = made(four, tmp_path / "whole", tiny_backbone, judge)
    one = Small(tiny_backbone, 1)
    halved = made(four, tmp_path / "halved", one, judge)
    assert one.sizes[:4] == [4, 2, 1, 1]
    scores = [
        {key: facts.score for key, facts in open_folder(folder).candidates(0).samples.items()}
        for folder in (whole, halved)
    ]
    assert scores[0] == scores[1]
    assert None not in scores[0].values()


def test_another_batch_size_goes_on(
    settings: GenerateSettings, tiny_backbone: Backbone, shards: Path
) -> None:
    begun = bytes_of(shards)
    for path in shards.glob("*-000001.*"):
        path.unlink()
    small = Small(tiny_backbone, 4)
    made(settings.model_copy(update={"batch_size": 4}), shards, small)
    assert small.sizes == [4, 4]
    assert bytes_of(shards).keys() == begun.keys()
    assert FolderConfig.read(shards).batch_size == 3
    assert not list(find_damage(shards))
    assert len(PairDataset(shards))


def test_a_folder_of_before_is_still_its_commands(
    settings: GenerateSettings, tiny_backbone: Backbone, shards: Path
) -> None:
    """Its shards say the digest that the batch size belonged to."""
    config = FolderConfig.read(shards)
    now, before = config.sampling_digests
    assert now != before
    for path in [*shards.glob("*-0*.json"), *shards.glob("*.safetensors")]:
        data = path.read_bytes()
        assert now.encode() in data
        path.write_bytes(data.replace(now.encode(), before.encode()))
    assert not list(find_damage(shards))
    kept = bytes_of(shards)
    never: Any = Small(tiny_backbone, 0)
    made(settings.model_copy(update={"batch_size": 4}), shards, never)
    assert bytes_of(shards) == kept


def test_encode_goes_on_and_halves(tiny_backbone: Backbone, tmp_path: Path) -> None:
    source, folders = listed(tmp_path / "source", 2), {}
    for size, most in ((1, 1), (8, 1)):
        out = folders[size] = tmp_path / f"imported{size}"
        asked = ImportSettings(format="folder", source=str(source), out=out, resolution=PX)
        import_pairs(asked, progress=False)
        small: Any = Small(tiny_backbone, most)
        encode_folder(out, batch_size=size, backbone=small, device="cpu", progress=False)
    assert small.sizes == [4, 2, 1, 1, 1, 1]
    assert bytes_of(folders[1]) == bytes_of(folders[8])
    again: Any = Small(tiny_backbone, 0)
    encode_folder(folders[8], batch_size=2, backbone=again, device="cpu", progress=False)
    assert not again.sizes
    assert FolderConfig.read(folders[8]).batch_size == 8
    assert not list(find_damage(folders[8]))
