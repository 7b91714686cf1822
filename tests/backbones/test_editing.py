"""FLUX.1 Kontext against diffusers' own pipeline, on a tiny real one: pictures with texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from alike import assert_same_values, deviation
from PIL import Image
from sampled_pairs import SampledPairs
from tiny_flux import tiny_flux, tiny_flux_kontext
from torch import Tensor

from sipo.backbones.base import Sampler
from sipo.backbones.editing import framed, require_editor, sample_or_edit
from sipo.backbones.registry import load_backbone
from sipo.train.settings import make_settings
from sipo.train.trainer import train

TEXTS = ["a red cat", "two dogs"]
SAMPLER = Sampler(steps=2, guidance=3.5, height=16, width=24)


def picture(seed: int, width: int = 24, height: int = 16) -> Image.Image:
    shape = (height, width, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8))


PICTURES = [picture(1), picture(2)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_flux_kontext(tmp_path_factory.mktemp("kontext") / "tiny")


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Any:
    return load_backbone(str(folder))


def plain(backbone: Any, pipeline: Any, image: Image.Image | None) -> Tensor:
    """diffusers' latents, asked as anyone would who wants the result in the picture's own size."""
    pipeline.set_progress_bar_config(disable=True)
    [latents] = pipeline(
        image=image,
        prompt=TEXTS[0],
        generator=torch.Generator().manual_seed(7),
        num_inference_steps=SAMPLER.steps,
        guidance_scale=SAMPLER.guidance,
        height=SAMPLER.height,
        width=SAMPLER.width,
        max_area=16 * 24,
        _auto_resize=False,
        output_type="latent",
        return_dict=False,
    )
    unpacked: Tensor = backbone._unpacked(latents, SAMPLER)[0]
    return unpacked


@torch.no_grad()
@pytest.mark.parametrize("edits", [True, False])
def test_predictions_are_the_pipelines(
    backbone: Any, edits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its own loop: where tokens lie, what they say in their first place, what is dropped."""
    steps: list[tuple[Tensor, Tensor, Tensor]] = []
    whole = backbone.pipeline.scheduler.step

    def step(output: Tensor, timestep: Tensor, sample: Tensor, **given: Any) -> Any:
        steps.append(
            (*(backbone._unpacked(x.clone(), SAMPLER) for x in (output, sample)), timestep)
        )
        return whole(output, timestep, sample, **given)

    monkeypatch.setattr(backbone.pipeline.scheduler, "step", step)
    conditioning = backbone.encode_prompts(TEXTS)
    if edits:
        backbone.edit(TEXTS, PICTURES, [1, 2], SAMPLER)
        conditioning |= backbone.encode_before(PICTURES, SAMPLER)
    else:
        backbone.sample(TEXTS, [1, 2], SAMPLER)
    told = backbone.told_guidance(conditioning, SAMPLER.guidance)
    for output, noisy, timestep in steps:
        ours = backbone.predict(backbone.denoiser, noisy, (timestep - 1).expand(2), told)
        assert_same_values(ours, output)
    assert len(steps) == SAMPLER.steps


def test_an_edit_is_the_plain_pipelines(folder: Path, backbone: Any) -> None:
    """A picture of another shape is cropped to the result's first."""
    large = picture(3, 60, 80)
    [ours] = backbone.edit(TEXTS[:1], [large], [7], SAMPLER)
    pipeline = backbone.pipeline_class.from_pretrained(folder)
    assert_same_values(ours.latents, plain(backbone, pipeline, framed(large, 24, 16)))
    assert deviation(ours.latents, plain(backbone, pipeline, PICTURES[0])) > 1e-4
    assert ours.image.size == (24, 16)
    [made] = sample_or_edit(backbone, TEXTS[:1], [None], [7], SAMPLER)
    assert_same_values(made.latents, plain(backbone, pipeline, None))
    assert deviation(ours.latents, made.latents) > 1e-3


def test_an_edit_does_not_depend_on_its_batch(backbone: Any) -> None:
    together = sample_or_edit(backbone, TEXTS, PICTURES, [1, 2], SAMPLER)
    [alone] = backbone.edit(TEXTS[1:], PICTURES[1:], [2], SAMPLER)
    torch.testing.assert_close(together[1].latents, alone.latents, rtol=1e-4, atol=1e-4)


def test_what_is_trained_on_edits_loads_into_plain_diffusers(
    folder: Path, backbone: Any, tmp_path: Path
) -> None:
    """The denoiser alone is trained, with prompts left out, too: their picture stays."""
    pairs = SampledPairs(backbone, TEXTS)
    shown = backbone.encode_before(PICTURES, SAMPLER)["before"]
    for record, before in zip(pairs.records, shown, strict=True):
        record.conditioning["before"] = before
    settings = make_settings(
        {"max_train_steps": 3, "train_batch_size": 2, "rank": 2, "out": str(tmp_path)}
        | {"learning_rate": 0.05, "report_to": "none", "mask": False, "checkpointing_steps": 9}
        | {"proportion_empty_prompts": 0.5}
    )
    train(settings, load_backbone(str(folder), denoiser_only=True), pairs)
    [ours] = load_backbone(str(folder), weights=tmp_path).edit(  # type: ignore[attr-defined]
        TEXTS[:1], PICTURES[:1], [7], SAMPLER
    )
    pipeline = backbone.pipeline_class.from_pretrained(folder)
    untrained = plain(backbone, pipeline, PICTURES[0])
    pipeline.load_lora_weights(tmp_path)
    assert deviation(ours.latents, plain(backbone, pipeline, PICTURES[0])) < 1e-4
    assert deviation(ours.latents, untrained) > 1e-2


def test_a_crop_is_of_the_middle() -> None:
    wide = Image.new("RGB", (40, 10), "red")
    wide.paste(Image.new("RGB", (10, 10), "blue"), (15, 0))
    red, _, blue = framed(wide, 8, 8).getextrema()
    assert red[1] < 10
    assert blue[0] > 245
    assert framed(PICTURES[0], 24, 16) == PICTURES[0]


def test_pictures_for_a_backbone_that_takes_none_are_refused(tmp_path: Path) -> None:
    backbone = load_backbone(str(tiny_flux(tmp_path)))
    with pytest.raises(ValueError, match=r"takes no picture, and the prompts have one \(before\)"):
        require_editor(backbone)


def test_prompts_with_and_without_a_picture_are_not_mixed(backbone: Any) -> None:
    with pytest.raises(ValueError, match="some prompts have a picture"):
        sample_or_edit(backbone, TEXTS, [PICTURES[0], None], [1, 2], SAMPLER)
