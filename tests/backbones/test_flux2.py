"""What FLUX.2 has of its own: normalised latents, a shift by steps, distilled checkpoints."""

from __future__ import annotations

import json
from functools import wraps
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import assert_same_picture, assert_same_values
from sampled_pairs import SampledPairs
from tiny_flux2 import tiny_flux2, tiny_flux2_klein

from sipo.backbones.base import Sampler
from sipo.backbones.registry import SAMPLER_FILE, load_backbone
from sipo.backbones.text_limits import limit_of, lost_words, say_lost
from sipo.train.settings import make_settings
from sipo.train.trainer import train

MAKERS = {"dev": tiny_flux2, "klein": tiny_flux2_klein}
SIZE = Sampler(steps=2, guidance=1.0, height=16, width=24)


@pytest.fixture(scope="module", params=MAKERS)
def backbone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name = request.param
    return load_backbone(str(MAKERS[name](tmp_path_factory.mktemp("flux2") / name)))


@pytest.fixture(scope="module")
def distilled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tiny_flux2_klein(tmp_path_factory.mktemp("flux2") / "distilled", is_distilled=True)
    (folder / SAMPLER_FILE).unlink()
    return folder


@torch.no_grad()
def test_latents_are_the_pipelines_there_and_back(backbone: Any) -> None:
    """Patches normalised by the batch norm's statistics, as the pipeline makes of a picture."""
    pixels = torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1
    latents = backbone.encode_images(pixels)
    pipeline = backbone.pipeline
    theirs = torch.cat([pipeline._encode_vae_image(row[None], None) for row in pixels])
    assert_same_values(latents, theirs)
    raw = pipeline.vae.encode(pixels).latent_dist.mean
    assert raw.shape == (2, 4, 8, 12)
    assert latents.shape == (2, 16, 4, 6)
    assert_same_values(backbone._unscaled(latents), raw)
    plain = pipeline.image_processor.postprocess(pipeline.vae.decode(raw).sample)
    for made, expected in zip(backbone.decode_latents(latents), plain, strict=True):
        assert_same_picture(made, expected)


@pytest.mark.parametrize(("steps", "height", "width"), [(4, 16, 24), (50, 1024, 1024), (9, 64, 16)])
def test_levels_shift_by_size_and_steps(
    backbone: Any, steps: int, height: int, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that the pipeline asks of its scheduler, where it takes them."""
    asked: list[torch.Tensor] = []
    scheduler = backbone.pipeline.scheduler
    whole = scheduler.set_timesteps

    @wraps(whole)
    def set_timesteps(*args: Any, **given: Any) -> None:
        whole(*args, **given)
        asked.append(scheduler.sigmas[:-1].double())
        raise InterruptedError  # that is enough

    monkeypatch.setattr(scheduler, "set_timesteps", set_timesteps)
    sampler = Sampler(steps=steps, guidance=1.0, height=height, width=width)
    with pytest.raises(InterruptedError):
        backbone.sample(["a cat"], [0], sampler)
    monkeypatch.undo()
    levels = backbone.noise_levels(steps, (16, height // 4, width // 4))
    assert torch.equal(levels, asked[0])


def test_a_distilled_one_takes_few_steps_and_no_guidance(distilled: Path) -> None:
    backbone: Any = load_backbone(str(distilled))
    assert backbone.default_sampler == Sampler(steps=4, guidance=1.0)
    assert backbone.guidance_scale(4.0) == 1.0
    assert backbone.sample(["a cat"], [0], SIZE)[0].image.size == (24, 16)
    with pytest.raises(ValueError, match=r"--guidance 4: .* is distilled and takes none .* give 1"):
        backbone.sample(["a cat"], [0], SIZE.model_copy(update={"guidance": 4.0}))


def test_a_base_is_guided_by_asking_twice(backbone: Any) -> None:
    assert not backbone.few_steps
    klein = backbone.pipeline_class.__name__ == "Flux2KleinPipeline"
    assert backbone.guidance_scale(4.0) == (4.0 if klein else 1.0)
    assert (backbone.default_sampler.steps, type(backbone).default_sampler.steps) == (2, 50)


def test_training_a_distilled_one_is_warned_of(
    distilled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = load_backbone(str(distilled))
    whole.default_sampler = SIZE
    pairs = SampledPairs(whole, ["a cat"])
    settings = {"max_train_steps": 1, "train_batch_size": 1, "rank": 2, "out": str(tmp_path)}
    alone = load_backbone(str(distilled), denoiser_only=True)
    train(make_settings(settings | {"report_to": "none"}), alone, pairs)
    assert capsys.readouterr().err.count("was distilled to a few steps, and training undoes") == 1


def test_what_is_cut_off_counts_the_words_before_a_prompt(
    backbone: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts that differ before the cut are told apart, and those that differ after it are not."""
    before = backbone.said_before()
    limit = limit_of(backbone.pipeline, before)
    assert limit == 512 - len(before)  # a token a letter
    text = "a" * limit
    rows = backbone.encode_prompts([f"{text}b", f"{text}c", f"{text[1:]}b", f"{text[1:]}c"])
    a, b, c, d = rows["encoder_hidden_states"]
    assert torch.equal(a, b)
    assert not torch.allclose(c, d)
    assert lost_words(backbone.pipeline, [text, f"{text}bc"], before) == {1: "bc"}
    say_lost(backbone, [f"{text}bc"])
    assert f"(tokens {limit}): number 1 loses 'bc'" in capsys.readouterr().err


def test_klein_with_a_cache_of_keys_is_no_backbone(tmp_path: Path) -> None:
    """Its caching is of reference pictures, for editing alone."""
    (tmp_path / "model_index.json").write_text(json.dumps({"_class_name": "Flux2KleinKVPipeline"}))
    with pytest.raises(ValueError, match="Flux2KleinKVPipeline, which has no backbone file yet"):
        load_backbone(str(tmp_path))
