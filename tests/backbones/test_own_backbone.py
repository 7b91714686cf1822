"""A family from outside: docs/own-parts.md, section "A backbone", as it stands there."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
import torch
from alike import assert_same_picture, assert_same_values
from diffusers import AuraFlowPipeline, AuraFlowTransformer2DModel, FlowMatchEulerDiscreteScheduler
from own_parts import install, python_blocks
from sampled_pairs import SampledPairs
from tiny import save_pipeline, tiny_vae
from tiny_text import t5
from transformers import UMT5EncoderModel

from sipo.backbones.base import LORA_FILE
from sipo.backbones.loading.names import check_backbone
from sipo.backbones.registry import load_backbone
from sipo.common import plugins
from sipo.train.settings import make_settings
from sipo.train.trainer import train

NAME, FOLDER = "my_auraflow:auraflow", "models/auraflow"


def tiny_auraflow(folder: Path) -> Path:
    """32 x 32 px, random weights."""

    def pipeline() -> AuraFlowPipeline:
        text = t5(16, UMT5EncoderModel)
        transformer = AuraFlowTransformer2DModel(
            sample_size=16,
            num_mmdit_layers=1,
            num_single_dit_layers=1,
            attention_head_dim=8,
            num_attention_heads=2,
            joint_attention_dim=16,
            caption_projection_dim=16,
            pos_embed_max_size=64,
        )
        return AuraFlowPipeline(
            tokenizer=text["tokenizer"],
            text_encoder=text["encoder"],
            vae=tiny_vae(),
            transformer=transformer.eval(),
            scheduler=FlowMatchEulerDiscreteScheduler(),
        )

    return save_pipeline(pipeline, folder)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder one is in, with the page's `my_auraflow.py` and a model where it looks."""
    [code] = python_blocks("A backbone")
    (tmp_path / "my_auraflow.py").write_text(code)
    tiny_auraflow(tmp_path / FOLDER)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("my_auraflow", "others"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    plugins._loaded.cache_clear()
    return tmp_path


def test_it_samples_and_predicts_as_its_pipeline(here: Path) -> None:
    check_backbone(NAME)
    backbone = load_backbone(NAME)
    sampler = backbone.default_sampler.model_copy(update={"steps": 2, "guidance": 3.0})
    [ours] = backbone.sample(["a red dog"], [5], sampler)
    plain = AuraFlowPipeline.from_pretrained(FOLDER)
    plain.set_progress_bar_config(disable=True)
    fed: list[tuple[torch.Tensor, ...]] = []
    plain.transformer.register_forward_hook(
        lambda _, given, named, got: fed.append((given[0], named["timestep"], got[0])),
        with_kwargs=True,
    )
    chance = [torch.Generator().manual_seed(5)]
    asked = {"height": 32, "width": 32, "num_inference_steps": 2, "guidance_scale": 3.0}
    [theirs] = plain(["a red dog"], generator=chance, **asked).images
    assert_same_picture(theirs, ours.image)
    conditioning = backbone.encode_prompts(["", "a red dog"])
    for noisy, sigma, output in fed:
        told = sigma * 1000 - 1  # sigma = (t + 1) / T
        with torch.no_grad():
            predicted = backbone.predict(backbone.denoiser, noisy, told, conditioning)
        assert_same_values(predicted, output)


def test_it_trains_and_folders_keep_where_it_is_from(here: Path) -> None:
    source = hashlib.sha256((here / "my_auraflow.py").read_bytes()).hexdigest()
    part = {"name": NAME, "version": None, "source_sha256": source}
    backbone = load_backbone(NAME)
    assert backbone.describe()["name"] == NAME
    assert backbone.describe()["part"] == part
    backbone.default_sampler = backbone.default_sampler.model_copy(update={"steps": 2})
    pairs = SampledPairs(backbone, ["cat", "dog"])
    given = {"out": "run", "max_train_steps": 1, "train_batch_size": 2, "rank": 2}
    settings = make_settings(given | {"report_to": "none", "backbone": NAME})
    train(settings, load_backbone(NAME, denoiser_only=True), pairs)
    assert json.loads((here / "run" / "run.json").read_text())["backbone"] == part
    tuned = load_backbone(NAME, here / "run" / LORA_FILE)
    assert tuned.weights_sha256() != backbone.weights_sha256()


def test_an_installed_package_brings_a_family_and_a_name(here: Path) -> None:
    with pytest.raises(ValueError, match="is a AuraFlowPipeline, which has no backbone file yet"):
        load_backbone(FOLDER)
    points = {"auraflow": NAME, "AuraFlowPipeline": "my_auraflow:AuraFlow"}
    install(here, "sipo.backbones", **points)
    one, other = load_backbone(FOLDER, denoiser_only=True), load_backbone("auraflow")
    assert [b.family for b in (one, other)] == ["auraflow"] * 2
    assert one.weights_sha256() == other.weights_sha256()
    names = [(b.part or {})["name"] for b in (one, other)]
    assert names == ["AuraFlowPipeline", "auraflow"]
    assert (one.part or {})["version"] == "1.5"
    with pytest.raises(ValueError, match=r"an embedded model \(auraflow, mini-sd"):
        check_backbone("auraflw")


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = 3", "'others:x' gave NoneType; it takes"),
        ("def x(**options): return 3", "'others:x' gave int; it takes denoiser_only"),
        ("y = 3", "cannot be imported"),
    ],
)
def test_what_makes_no_backbone_is_refused(here: Path, code: str, sentence: str) -> None:
    (here / "others.py").write_text(code)
    with pytest.raises(ValueError, match=sentence):
        load_backbone("others:x")
