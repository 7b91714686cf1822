"""Edits: the picture goes with the prompt into shards, and from there into training."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import assert_same_values
from PIL import Image
from tiny_flux import tiny_flux_kontext

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.datagen.generation.rejudging import judge_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.looking.view_page import view
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.latent_files import conditioning_of
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.sample_json import candidate_rows
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.shard_tar import read_fields
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt, read_prompts
from sipo.feedback.rule.verdict import Verdict
from sipo.train.settings import make_settings
from sipo.train.trainer import train


class SeesBoth(FakeJudge):
    """Remembers the pictures that it was shown with the prompts."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Image.Image] = []

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.seen += [prompt.before.picture() for prompt in prompts if prompt.before]
        return super().judge(images, prompts)


@pytest.fixture(scope="module")
def kontext(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_flux_kontext(tmp_path_factory.mktemp("kontext") / "tiny")


@pytest.fixture(scope="module")
def backbone(kontext: Path) -> Backbone:
    return load_backbone(str(kontext))


@pytest.fixture(scope="module")
def asked(kontext: Path, tmp_path_factory: pytest.TempPathFactory) -> GenerateSettings:
    """One text of two pictures, another of one; `out` is to be replaced."""
    folder = tmp_path_factory.mktemp("asked")
    for name in ("red", "blue"):
        Image.new("RGB", (24, 16), name).save(folder / f"{name}.png")
    rows = [("make it green", "red"), ("make it green", "blue"), ("add a cat", "red")]
    lines = [json.dumps({"prompt": text, "before": f"{name}.png"}) for text, name in rows]
    (folder / "edits.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return GenerateSettings(
        **{"backbone": str(kontext), "prompts": folder / "edits.jsonl", "judge": "fake"},
        **{"candidates": 3, "prompts_per_shard": 2, "margin": 0.0, "workers": 1},
    )


@pytest.fixture(scope="module")
def shards(
    asked: GenerateSettings, backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Its prompts' folder is gone: it stands alone."""
    moved = tmp_path_factory.mktemp("moved") / "asked"
    assert asked.prompts is not None
    shutil.copytree(asked.prompts.parent, moved)
    out, judge = moved.parent / "shards", SeesBoth()
    settings = asked.model_copy(update={"prompts": moved / "edits.jsonl", "out": out})
    generate(settings, backbone=backbone, judge=judge, progress=False)
    assert {picture.getpixel((0, 0)) for picture in judge.seen} == {(255, 0, 0), (0, 0, 255)}
    shutil.rmtree(moved)
    return out


def test_the_folder_stands_alone(asked: GenerateSettings, shards: Path) -> None:
    folder = open_folder(shards)
    assert list(find_damage(shards)) == []
    assert asked.prompts is not None
    prompts = read_prompts(asked.prompts)
    assert folder.prompts == prompts
    assert [one.before and one.before.file for one in folder.prompts] == [
        one.before and one.before.file for one in prompts
    ]
    for number in folder.numbers:
        kept = dict(folder.prompts_of(number))
        for _, row in candidate_rows(folder, number):
            assert row.prompt == kept[row.prompt_number]
        for facts in folder.pairs(number).samples.values():
            place = facts.members["before.png"]
            found = read_fields(folder.tar("pairs", number), {"before.png": place})
            prompt = kept[facts.prompt]
            assert found["before.png"] == (prompt.before and prompt.before.file)


def test_the_same_command_makes_the_same_bytes(
    asked: GenerateSettings, shards: Path, backbone: Backbone, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    generate(asked.model_copy(update={"out": out}), None, backbone, FakeJudge(), progress=False)
    for name in ("candidates-000000.tar", "pairs-000001.tar", "prompts.jsonl", "config.json"):
        assert (out / name).read_bytes() == (shards / name).read_bytes()


def test_another_picture_is_another_edit(asked: GenerateSettings, shards: Path) -> None:
    folder = open_folder(shards)
    rows = [row for _, row in candidate_rows(folder, 0)]
    assert rows[0].prompt.text == rows[3].prompt.text
    assert rows[0].seed != rows[3].seed


def test_a_pair_is_conditioned_on_text_and_picture(shards: Path, backbone: Any) -> None:
    data, folder = PairDataset(shards), open_folder(shards)
    pairs = [data[place] for place in range(len(data))]
    for prompt in folder.prompts:
        assert prompt.before is not None
        [shown] = backbone.encode_before([prompt.before.picture()], backbone.default_sampler)[
            "before"
        ]
        [text] = backbone.encode_prompts([prompt.text])["pooled_projections"]
        mine = [
            pair
            for pair in pairs
            if torch.equal(pair.conditioning["before"], shown) and pair.text == prompt.text
        ]
        assert len(mine) == len(pairs) / len(folder.prompts)
        assert_same_values(mine[0].conditioning["pooled_projections"], text)
        assert mine[0].winner.shape == shown.shape
    assert "before" not in data.empty
    assert set(conditioning_of(folder.embeddings(1), "make it green")) == set()


def test_it_is_judged_again_with_its_pictures(shards: Path, tmp_path: Path) -> None:
    judge = SeesBoth()
    judge_folder(shards, "fake", judge=judge, out=tmp_path / "again", progress=False)
    assert len(judge.seen) == 9
    assert list(find_damage(tmp_path / "again")) == []


def test_the_page_shows_what_each_edit_began_with(shards: Path) -> None:
    page = view(open_folder(shards)).page
    [data] = re.findall(r'<script[^>]*id="data"[^>]*>(.*?)</script>', page, re.DOTALL)
    rows = json.loads(data)
    assert [row["before"]["size"] for row in rows] == [[24, 16]] * 3
    first, second, third = (row["before"]["src"] for row in rows)
    assert first == third != second


@pytest.mark.parametrize("objective", ["sipo", "flow-dpo"])
def test_it_trains(shards: Path, kontext: Path, tmp_path: Path, objective: str) -> None:
    settings = make_settings(
        {"max_train_steps": 2, "train_batch_size": 2, "rank": 2, "out": str(tmp_path)}
        | {"objective": objective, "report_to": "none", "learning_rate": 0.05, "mask": False}
    )
    base = load_backbone(str(kontext), denoiser_only=True)
    train(settings, base, PairDataset(shards))
    tuned = load_backbone(str(kontext), weights=tmp_path)
    assert tuned.weights_sha256() != base.weights_sha256()


def test_a_model_of_texts_alone_is_refused(
    asked: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    settings = asked.model_copy(update={"out": tmp_path / "shards"})
    with pytest.raises(ValueError, match=r"takes no picture, and the prompts have one \(before\)"):
        generate(settings, None, tiny_backbone, FakeJudge(), progress=False)
    assert not (tmp_path / "shards").exists()


def test_without_pictures_it_makes_images_of_texts(
    asked: GenerateSettings, backbone: Backbone, tmp_path: Path
) -> None:
    file = tmp_path / "texts.txt"
    file.write_text("a red cat\n", encoding="utf-8")
    settings = asked.model_copy(update={"prompts": file, "out": tmp_path / "shards"})
    generate(settings, None, backbone, FakeJudge(), progress=False)
    data = PairDataset(tmp_path / "shards")
    assert "before" not in data[0].conditioning
