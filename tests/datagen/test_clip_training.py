"""From a video backbone's clips to shards to a trained policy that plain diffusers loads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alike import assert_other_picture, assert_same_picture
from diffusers import DiffusionPipeline
from tiny_hunyuan_video import tiny_hunyuan_video
from tiny_ltx2 import tiny_ltx2
from tiny_video import plain_clip, tiny_cogvideox, tiny_wan

from sipo.backbones.base import LORA_FILE, Backbone
from sipo.backbones.registry import load_backbone
from sipo.backbones.video.base import Frames
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.train.settings import make_settings
from sipo.train.trainer import train

FAMILIES: dict[str, Callable[[Path], Path]] = {
    "cogvideox-2b": tiny_cogvideox,
    "cogvideox-5b": lambda folder: tiny_cogvideox(folder, "5b"),
    "hunyuan-video": tiny_hunyuan_video,
    "ltx2": tiny_ltx2,
    "wan": tiny_wan,
    "wan22-5b": lambda folder: tiny_wan(folder, kind="5b"),
}


@pytest.fixture(scope="module", params=FAMILIES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return FAMILIES[request.param](tmp_path_factory.mktemp("video") / request.param)


@pytest.fixture(scope="module")
def shards(folder: Path) -> Path:
    out = folder.parent / "shards"
    settings = GenerateSettings(candidates=3, margin=0, judged_frames=1, out=out)
    backbone = load_backbone(str(folder))
    generate(settings, [grammar.single_object("cat")], backbone, FakeJudge(), progress=False)
    return out


def sampled(backbone: Backbone) -> Frames:
    return backbone.sample(["a cat"], [1], backbone.default_sampler)[0].frames


@pytest.mark.parametrize("full", [False, True], ids=["lora", "full"])
def test_trained_on_clips(full: bool, folder: Path, shards: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {"data": [str(shards)], "backbone": str(folder), "out": str(tmp_path)}
    given |= {"max_train_steps": 3, "train_batch_size": 2, "rank": 2, "report_to": "none"}
    given |= {"full": full, "learning_rate": 0.01 if full else 0.2}
    given |= {"gradient_checkpointing": full}
    summary = train(make_settings(given))
    assert summary.steps == 3

    ours = load_backbone(str(folder), weights=tmp_path)
    plain = DiffusionPipeline.from_pretrained(folder)
    sampler = ours.default_sampler
    before = plain_clip(plain, "a cat", 1, sampler)
    if full:
        plain.transformer = type(plain.transformer).from_pretrained(
            tmp_path, subfolder="transformer"
        )
    elif hasattr(plain, "load_lora_weights"):
        plain.load_lora_weights(tmp_path)
    else:  # HunyuanVideo 1.5's pipeline
        plain.transformer.load_lora_adapter(tmp_path, weight_name=LORA_FILE)
    after = plain_clip(plain, "a cat", 1, sampler)
    assert_same_picture(after, sampled(ours))
    assert_other_picture(after, before)
