"""Imported pairs are encoded, looked at, judged again and trained on like sampled ones."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))

from click.testing import CliRunner
from sources import PX, listed, picture

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.datagen.cli import main
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation.rejudging import judge_folder
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.untrusted_images import read_image
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.unpaired_dataset import UnpairedDataset
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.train.settings import make_settings
from sipo.train.trainer import train


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    out, source = tmp_path / "imported", listed(tmp_path / "source", 3)
    small: dict[str, Any] = {"resolution": PX, "pairs_per_shard": 2}
    settings = ImportSettings(format="folder", source=str(source), out=out, **small)
    import_pairs(settings, progress=False)
    return out


def test_without_latents_there_is_one_sentence(imported: Path) -> None:
    for open_ in (PairDataset, UnpairedDataset):
        with pytest.raises(ValueError, match="has no latents yet; run sipo-data encode"):
            open_(imported)
    for command in ("validate", "inspect"):
        result = CliRunner().invoke(main, [command, str(imported)])
        assert result.exit_code == 0, result.output


def test_latents_are_the_vae_s_means(imported: Path, tiny_backbone: Backbone) -> None:
    encode_folder(imported, backbone=tiny_backbone, batch_size=3, progress=False)
    assert list(find_damage(imported)) == []
    pairs = PairDataset(imported)
    image = read_image(picture(5), (PX, PX))
    pixels = torch.tensor(list(image.tobytes())).reshape(PX, PX, 3).permute(2, 0, 1)
    expected = tiny_backbone.encode_images(pixels[None].float() / 127.5 - 1)[0]
    torch.testing.assert_close(pairs[2].loser, expected, atol=1e-5, rtol=1e-5)
    embedded = tiny_backbone.encode_prompts(["a cat 2"])["encoder_hidden_states"][0]
    torch.testing.assert_close(
        pairs[2].conditioning["encoder_hidden_states"], embedded, atol=1e-5, rtol=1e-5
    )
    assert pairs.meta["sampler"]["height"] == PX
    assert len(UnpairedDataset(imported)) == 3


def test_nobody_s_samples_are_the_base_s(imported: Path, tiny_backbone: Backbone) -> None:
    """Or --denominator behaviour would take the backbone for who sampled them."""
    encode_folder(imported, backbone=tiny_backbone, progress=False)
    assert PairDataset(imported).meta["sampled_by"] != [tiny_backbone.weights_sha256()]


def test_another_encoding_and_a_sampled_folder_are_refused(
    imported: Path, shards: Path, tiny_backbone: Backbone
) -> None:
    encode_folder(imported, backbone=tiny_backbone, progress=False)
    with pytest.raises(ValueError, match="--dtype float32, this command says bfloat16"):
        encode_folder(imported, backbone=tiny_backbone, dtype="bfloat16", progress=False)
    with pytest.raises(ValueError, match="was sampled with its latents"):
        encode_folder(shards, backbone=tiny_backbone, progress=False)


def test_imported_pairs_can_be_judged_again(imported: Path, tiny_backbone: Backbone) -> None:
    encode_folder(imported, backbone=tiny_backbone, progress=False)
    out = imported.with_name("judged")
    summary = judge_folder(imported, "fake", judge=FakeJudge(), progress=False, out=out)
    assert summary.pairs == 3
    assert list(find_damage(out)) == []


def test_two_steps_of_training(imported: Path, tiny_folder: Path, tmp_path: Path) -> None:
    command = ["encode", str(imported), "--backbone", str(tiny_folder), "--device", "cpu"]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 0, result.output
    asked: dict[str, Any] = {"max_train_steps": 2, "train_batch_size": 2, "rank": 2}
    asked |= {"report_to": "none", "out": str(tmp_path / "run"), "data": [str(imported)]}
    settings = make_settings(asked)
    backbone = load_backbone(str(tiny_folder), denoiser_only=True)
    train(settings, backbone, PairDataset(imported))
    assert (tmp_path / "run" / "pytorch_lora_weights.safetensors").is_file()
