"""All video families: clips are plain diffusers', and are functions of their seed alone."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from alike import assert_other_picture, assert_same_picture
from diffusers import DiffusionPipeline
from sampled_pairs import SampledPairs
from schedules import check_calibration, check_round_trips, check_weight
from tiny_hunyuan_video import tiny_hunyuan_video
from tiny_ltx2 import tiny_ltx2
from tiny_video import plain_clip, tiny_cogvideox, tiny_wan

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.backbones.video.base import VideoBackbone

TEXTS = ["a cat", "a red dog", "two birds"]


MAKERS: dict[str, Callable[[Path], Path]] = {
    "2b": tiny_cogvideox,
    "5b": partial(tiny_cogvideox, kind="5b"),
    "1.5": partial(tiny_cogvideox, kind="1.5"),
    "hunyuan_video": tiny_hunyuan_video,
    "ltx2": tiny_ltx2,
    "wan": tiny_wan,
    "wan22-5b": partial(tiny_wan, kind="5b"),
    "wan22-a14b": partial(tiny_wan, kind="a14b"),
}


@pytest.fixture(scope="module", params=MAKERS)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MAKERS[request.param](tmp_path_factory.mktemp("video") / request.param)


@pytest.fixture(scope="module")
def backbone(folder: Path) -> VideoBackbone:
    loaded = load_backbone(str(folder))
    assert isinstance(loaded, VideoBackbone)
    return loaded


def test_its_schedule_round_trips_and_gives_the_gaussians_weight(backbone: Backbone) -> None:
    check_round_trips(backbone)
    check_weight(backbone)


def test_it_calibrates(folder: Path, backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = SampledPairs(backbone, TEXTS[:1])
    for expert in backbone.experts or [""]:
        trained = load_backbone(str(folder), denoiser_only=True, expert=expert)
        check_calibration(trained, pairs, monkeypatch)


def test_a_sample_is_the_plain_pipelines(folder: Path, backbone: Backbone) -> None:
    [ours] = backbone.sample(["a cat"], [7], backbone.default_sampler)
    [other] = backbone.sample(["a cat"], [8], backbone.default_sampler)
    plain = DiffusionPipeline.from_pretrained(folder)
    theirs = plain_clip(plain, "a cat", 7, backbone.default_sampler)
    assert len(ours.frames) == backbone.default_sampler.frames
    assert_same_picture(ours.frames, theirs)
    assert_other_picture(other.frames, theirs)
    assert ours.image == ours.frames[len(theirs) // 2]


def test_a_vae_that_waits_elsewhere_is_not_asked_where_it_is(
    folder: Path, backbone: VideoBackbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With offloading it is on the CPU until it is called, and its latents would stay there."""
    [sample] = backbone.sample(["a cat"], [7], backbone.default_sampler)
    offloaded = load_backbone(str(folder))
    assert isinstance(offloaded, VideoBackbone)
    offloaded.offload("cpu")

    def asked(model: object) -> None:
        pytest.fail("asked for its device")

    monkeypatch.setattr(type(offloaded._whole.vae), "device", property(asked))
    [frames] = offloaded.decode_clips(sample.latents[None])
    assert_same_picture(frames, sample.frames)


def test_a_candidate_does_not_depend_on_its_batch(backbone: Backbone) -> None:
    """To float tolerance, as for images; 5B's sampler draws noise at every step."""
    sampler = backbone.default_sampler
    together = backbone.sample(TEXTS, [1, 2, 3], sampler)
    for index in (0, 2):
        [alone] = backbone.sample(TEXTS[index : index + 1], [index + 1], sampler)
        torch.testing.assert_close(alone.latents, together[index].latents, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(together[0].latents, together[1].latents)


def test_the_kept_latents_decode_to_the_clip(backbone: VideoBackbone) -> None:
    [sample] = backbone.sample(["a cat"], [3], backbone.default_sampler)
    [decoded] = backbone.decode_clips(sample.latents[None])
    assert_same_picture(decoded, sample.frames)
    [image] = backbone.decode_latents(sample.latents[None])
    assert_same_picture(image, sample.image)
    [other] = backbone.sample(["a cat"], [4], backbone.default_sampler)
    assert_other_picture(other.frames, decoded)
    pixels = torch.stack([torch.from_numpy(np.array(frame)) for frame in decoded])
    pixels = pixels.permute(3, 0, 1, 2)[None] / 127.5 - 1
    assert backbone.encode_images(pixels).shape[1:] == sample.latents.shape


def test_training_needs_neither_vae_nor_text_encoder(folder: Path, backbone: Backbone) -> None:
    alone = load_backbone(str(folder), denoiser_only=True)
    assert alone.describe() == backbone.describe()
    assert (alone.fps, alone.default_sampler) == (backbone.fps, backbone.default_sampler)
