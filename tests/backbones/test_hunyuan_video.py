"""HunyuanVideo 1.5 against its own pipeline, guider and scheduler, at tiny size."""

from __future__ import annotations

import json
from collections.abc import Iterator
from inspect import signature
from pathlib import Path

import pytest
import torch
from alike import assert_same_values, deviation
from diffusers import FlowMatchEulerDiscreteScheduler, HunyuanVideo15Pipeline
from safetensors.torch import save_file
from tiny_hunyuan_video import HUNYUAN_PX, WHOLE, tiny_hunyuan_video
from tiny_video import plain_clip, watch

from sipo.backbones.base import LORA_FILE, Backbone, Sampler
from sipo.backbones.registry import SAMPLER_FILE, load_backbone
from sipo.backbones.text_limits import limit_of, lost_words
from sipo.backbones.video.hunyuan_video import HunyuanVideo
from sipo.train.sharing.export_policy import _fuse
from sipo.train.sharing.loading_code import loading_code

TEXT = 'a dog with a sign "cats"'
SAMPLER = Sampler(steps=3, guidance=3.0, height=HUNYUAN_PX, width=2 * HUNYUAN_PX, frames=9)


@pytest.fixture(scope="module", autouse=True)
def whole_texts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HunyuanVideo15Pipeline, "__init__", WHOLE)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_hunyuan_video(tmp_path_factory.mktemp("hunyuan") / "tiny-hunyuan")


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Backbone:
    return load_backbone(str(folder))


def test_predictions_are_the_pipelines(folder: Path, backbone: Backbone) -> None:
    """Timesteps, both texts, the picture that is not there, both halves of guidance."""
    plain = HunyuanVideo15Pipeline.from_pretrained(folder)
    calls = watch(plain)
    plain_clip(plain, TEXT, 5, SAMPLER)
    assert len(calls.fed) == 2 * len(calls.stepped) == 6
    for number, stepped in enumerate(calls.stepped):
        halves = []
        for text, place in ((TEXT, 2 * number), ("", 2 * number + 1)):
            fed = calls.fed[place]
            noisy = fed["hidden_states"][:, :4]
            assert not fed["hidden_states"][:, 4:].any()
            with torch.no_grad():
                t = fed["timestep"] - 1  # the pipeline tells T sigma, we count from 0
                ours = backbone.predict(
                    backbone.denoiser, noisy, t, backbone.encode_prompts([text])
                )
            assert_same_values(ours, calls.got[place])
            halves.append(ours)
        with_prompt, without = halves
        assert_same_values(without + 3.0 * (with_prompt - without), stepped)


def test_what_stands_in_quotes_is_heard_twice(backbone: Backbone) -> None:
    """Its letters go to the second encoder; without quotes that one hears nothing."""
    quoted, plain = backbone.encode_prompts([TEXT, "a dog"])["encoder_attention_mask_2"]
    assert quoted.any()
    assert not plain.any()
    rows = backbone.encode_prompts([TEXT, TEXT.replace("cats", "owls")])
    noisy, t = torch.randn(1, 4, 2, 4, 4).expand(2, -1, -1, -1, -1), torch.tensor([500, 500])
    glyphs = {name: value.clone() for name, value in rows.items()}
    for name in ("encoder_hidden_states", "encoder_attention_mask"):
        glyphs[name][1] = glyphs[name][0]
    with torch.no_grad():
        one, other = backbone.predict(backbone.denoiser, noisy, t, glyphs)
    assert deviation(one, other) > 1e-4


def test_the_exact_velocity_leads_to_the_clean_latents(backbone: Backbone) -> None:
    """By the checkpoint's own scheduler, one step from each of its levels to the clean end."""
    scheduler = FlowMatchEulerDiscreteScheduler(shift=5.0)
    levels = backbone.noise_levels(7, (4, 2, 4, 4))
    latents, noise = torch.randn(2, 1, 4, 2, 4, 4, dtype=torch.float64)
    scheduler.set_timesteps(7)
    assert levels[0] == 1
    for sigma in levels:
        t = sigma[None] * backbone.num_train_timesteps - 1
        noisy, target = backbone.add_noise(latents, noise, t), backbone.target(latents, noise, t)
        scheduler.sigmas, scheduler._step_index = torch.stack([sigma, sigma * 0]), 0
        [clean] = scheduler.step(target, t + 1, noisy, return_dict=False)
        torch.testing.assert_close(clean.double(), latents, rtol=0, atol=1e-6)  # it rounds sigma
    assert backbone.prediction == "flow"


def test_the_defaults_are_the_pipelines_and_its_guiders(folder: Path, tmp_path: Path) -> None:
    known = signature(HunyuanVideo15Pipeline.__call__).parameters
    (folder / SAMPLER_FILE).rename(kept := tmp_path / SAMPLER_FILE)
    guider = folder / "guider" / "guider_config.json"
    was = guider.read_text()
    for changed, guidance in [({}, 6.0), ({"guidance_scale": 4.0}, 4.0), ({"enabled": False}, 1.0)]:
        guider.write_text(json.dumps(json.loads(was) | changed))
        for denoiser_only in (True, False):
            loaded = load_backbone(str(folder), denoiser_only=denoiser_only)
            sampler = loaded.default_sampler
            assert sampler.frames == known["num_frames"].default
            assert sampler.steps == known["num_inference_steps"].default
            assert sampler.guidance == guidance
    guider.write_text(was)
    kept.rename(folder / SAMPLER_FILE)
    assert HunyuanVideo.default_sampler.guidance == 6.0


def test_a_guider_that_does_more_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "guider").mkdir()
    index = (folder / "model_index.json").read_text()
    (tmp_path / "model_index.json").write_text(index)
    config = json.loads((folder / "guider" / "guider_config.json").read_text())
    for more in ({"guidance_rescale": 0.7}, {"stop": 0.5}, {"_class_name": "SkipLayerGuidance"}):
        (tmp_path / "guider" / "guider_config.json").write_text(json.dumps(config | more))
        for denoiser_only in (True, False):
            with pytest.raises(ValueError, match=r"its guider .* is no plain classifier-free"):
                load_backbone(str(tmp_path), denoiser_only=denoiser_only)


def test_frames_and_sizes_it_cannot_make_are_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"--frames 10 is not 1 \+ a multiple of 4.* 9 or 13"):
        backbone.sample(["a"], [0], Sampler(frames=10))
    with pytest.raises(ValueError, match=r"--height 18 is no multiple of 4"):
        backbone.sample(["a"], [0], Sampler(height=18, frames=5))


def test_words_beyond_a_thousand_tokens_are_named(backbone: HunyuanVideo) -> None:
    """A letter is a token here."""
    assert limit_of(backbone._whole) == 1000
    assert lost_words(backbone._whole, ["a" * 900]) == {}
    assert set(lost_words(backbone._whole, ["a dog", "a" * 1100])) == {1}


def test_its_card_loads_by_its_parts(tmp_path: Path) -> None:
    """Neither the LoRA nor the guidance is the pipeline's."""
    told = {"steps": 2, "guidance": 3.0, "frames": 5}
    kind = HunyuanVideo15Pipeline.__name__
    lines = loading_code(tmp_path, tmp_path, "a/base", kind, "a cat", told, 24).splitlines()
    assert f'pipe.transformer.load_lora_adapter(weights, weight_name="{LORA_FILE}")' in lines
    assert "pipe.guider = pipe.guider.new(guidance_scale=3.0)" in lines
    assert "frames = pipe(prompt='a cat', num_inference_steps=2, num_frames=5).frames[0]" in lines


def test_a_lora_is_fused_by_its_transformer(folder: Path, tmp_path: Path) -> None:
    name = "transformer_blocks.0.attn.add_q_proj"
    down, up = torch.randn(2, 16), torch.randn(16, 2)
    lora = {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": up}
    save_file(lora, tmp_path / LORA_FILE)
    pipe = HunyuanVideo15Pipeline.from_pretrained(folder)
    before = pipe.transformer.get_submodule(name).weight.detach().clone()
    _fuse(pipe, tmp_path)
    assert_same_values(pipe.transformer.get_submodule(name).weight - before, up @ down)
