"""A folder of shards with one damaged file: checked, opened and trained on, or refused."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged, json_files
from outcome import outcome

from sipo.backbones.base import Backbone
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.grammar import counting, single_object


@pytest.fixture(scope="module")
def shards(
    tiny_folder: Path, tiny_backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    out = tmp_path_factory.mktemp("fuzz") / "shards"
    settings = GenerateSettings(
        backbone=str(tiny_folder), judge="fake", candidates=4, workers=1, out=out
    )
    prompts = [single_object("cat"), counting("dog", 2)]
    generate(settings, prompts, tiny_backbone, FakeJudge(), progress=False)
    return out


def _read_all(folder: Path) -> int:
    pairs = PairDataset(folder)
    return len([pairs[number] for number in range(len(pairs))])


@given(data=st.data())
def test_one_file_is_damaged(shards: Path, tmp_path: Path, data: st.DataObject) -> None:
    copy = tmp_path / "copy"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(shards, copy)
    path = data.draw(st.sampled_from(sorted(p for p in copy.iterdir() if p.is_file())))
    content = path.read_bytes()
    if path.suffix == ".json" and data.draw(st.booleans()):
        content = data.draw(json_files(json.loads(content)))
    else:
        content = data.draw(damaged(content))
    path.write_bytes(content)
    found = outcome(lambda: list(find_damage(copy)), str(copy))
    read = outcome(lambda: _read_all(copy), str(copy))
    assert found is not None or read is None, "a folder that cannot be checked was trained on"
