"""What `--data` may be, and whose pairs they are where `--backbone` is not given."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import tiny_pipeline
from written_prompts import write_prompts

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.common.files.locks import only_writer
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.local_backbones import FILE, recall
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.train.build import open_backbone, open_data
from sipo.train.settings import make_settings


def sampled(folder: Path, backbone: Backbone, **given: Any) -> Path:
    write_prompts(
        [grammar.single_object(name) for name in ("cat", "dog")], folder / "prompts.jsonl"
    )
    settings = GenerateSettings(
        prompts=folder / "prompts.jsonl",
        judge="fake",
        candidates=4,
        margin=0.1,
        workers=1,
        out=folder / "shards",
        **given,
    )
    generate(settings, backbone=backbone, judge=FakeJudge(), progress=False)
    return settings.out


@pytest.fixture
def shards(tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Made with `--backbone models/my-model` in tmp_path, where the process is."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, "models/my-model")
    return sampled(tmp_path, load_backbone("models/my-model"))


def opened(shards: Path, **given: Any) -> Backbone:
    settings = make_settings({"data": str(shards)} | given)
    return open_backbone(settings, open_data(settings))


def test_a_local_backbone_is_found_where_it_was(shards: Path) -> None:
    assert json.loads((shards / FILE).read_text()) == {"backbone": "models/my-model"}
    assert opened(shards).name == "models/my-model"


@pytest.mark.parametrize("kept", [True, False])
def test_it_is_found_beside_the_shards_by_its_hash(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    """Both were moved; also with shards that are older than `sources.json`."""
    if not kept:
        (shards / FILE).unlink()
    other = tmp_path / "other"
    other.mkdir()
    shutil.move(shards, other / "shards")
    shutil.move(tmp_path / "models" / "my-model", other / "my-model")
    monkeypatch.chdir("/")
    assert opened(other / "shards").name == str(other / "my-model")


def test_a_namesake_with_other_weights_is_not_taken(shards: Path) -> None:
    shutil.rmtree("models/my-model")
    with pytest.raises(ValueError, match=r"named 'my-model', which is not there \(looked at 'mod"):
        opened(shards)
    tiny_pipeline(Path("models/my-model"), seed=1)
    with pytest.raises(ValueError, match=r"which has other weights .*; give its path"):
        opened(shards)
    assert opened(shards, backbone="models/my-model").name == "models/my-model"


def test_a_local_folder_with_an_embedded_name_is_itself(
    tmp_path: Path, tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_folder, "models/mini-sd")
    shards = sampled(tmp_path, load_backbone("models/mini-sd"))
    assert opened(shards).name == "models/mini-sd"


def test_a_policy_on_it_is_told_by_both(
    shards: Path, tmp_path: Path, run: Any, tiny_folder: Path
) -> None:
    run("policy", max_train_steps=1, learning_rate=0.1)
    shutil.rmtree(shards)
    policy = tmp_path / "policy"
    sampled(tmp_path, load_backbone("models/my-model", policy), weights=Path("policy"))
    assert recall(shards) == {"backbone": "models/my-model", "weights": "policy"}
    found = opened(shards)
    assert found.weights_sha256() == load_backbone(str(tiny_folder), None, True).weights_sha256()
    shutil.rmtree(policy)
    with pytest.raises(
        ValueError, match="is told only with the policy 'policy' on it, which is not"
    ):
        opened(shards)


def test_a_broken_note_is_none(shards: Path) -> None:
    for content in ("", "[]", '{"backbone": 3}'):
        (shards / FILE).write_text(content)
        assert recall(shards) == {}


def test_data_that_is_none_is_one_sentence(shards: Path, tmp_path: Path) -> None:
    def refused(data: Path, said: str) -> None:
        with pytest.raises(ValueError, match=said):
            open_data(make_settings({"data": str(data)}))

    refused(shards / "pairs-000000.tar", r"--data '\S+tar' is a file; give the folder of shards")
    refused(tmp_path / "nowhere", "does not exist; give one of sipo-data")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", "holds no shards; give a folder of sipo-data")
    with only_writer(shards, "sipo-data"):
        refused(shards, "sipo-data is writing to it; wait for it to end")
    (shards / "candidates-000000.json").unlink()
    (shards / "pairs-000000.json").unlink()
    refused(shards, "is not complete; run the same sipo-data generate again")


def test_one_pair_is_enough(shards: Path, run: Any) -> None:
    pairs = PairDataset(shards)
    pairs._entries = pairs._entries[:1]
    assert run("one", pairs, train_batch_size=3, max_train_steps=1).pairs_seen == 3
    assert torch.isfinite(pairs[0].winner).all()
