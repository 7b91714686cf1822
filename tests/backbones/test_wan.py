"""Wan 2.1 and 2.2 5B against their own pipeline and schedulers, at tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from alike import assert_same_values
from diffusers import FlowMatchEulerDiscreteScheduler, WanPipeline
from tiny_video import WAN_PX, plain_clip, tiny_wan, wan_scheduler, watch

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.registry import SAMPLER_FILE, load_backbone

SAMPLER = Sampler(steps=3, guidance=3.0, height=2 * WAN_PX, width=2 * WAN_PX, frames=9)


@pytest.fixture(scope="module", params=["2.1", "5b"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_wan(tmp_path_factory.mktemp("wan") / "tiny-wan", kind=request.param)


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Backbone:
    return load_backbone(str(folder))


def test_predictions_are_the_pipelines(folder: Path, backbone: Backbone) -> None:
    """Timesteps, text and both halves of guidance. 5B's pipeline tells every patch of it."""
    plain = WanPipeline.from_pretrained(folder)
    calls = watch(plain)
    plain_clip(plain, "a red dog", 5, SAMPLER)
    assert len(calls.fed) == 2 * len(calls.stepped) == 6
    for number, stepped in enumerate(calls.stepped):
        halves = []
        for text, place in (("a red dog", 2 * number), ("", 2 * number + 1)):
            fed = calls.fed[place]
            with torch.no_grad():
                told = fed["timestep"].reshape(1, -1)
                assert (told == told[:, :1]).all()
                t = told[:, 0] - 1  # the pipeline tells T sigma, we count from 0
                ours = backbone.predict(
                    backbone.denoiser, fed["hidden_states"], t, backbone.encode_prompts([text])
                )
            assert_same_values(ours, calls.got[place])
            halves.append(ours)
        with_prompt, without = halves
        assert_same_values(without + 3.0 * (with_prompt - without), stepped)


def test_the_exact_velocity_leads_to_the_clean_latents(backbone: Backbone) -> None:
    """By the checkpoint's own scheduler, whose sigmas lie between whole timesteps."""
    scheduler = wan_scheduler()
    scheduler.set_timesteps(7)
    latents, noise = torch.randn(2, 1, 16, 2, 4, 4, dtype=torch.float64)
    for index, sigma in enumerate(scheduler.sigmas[:-1].double()):
        t = sigma[None] * backbone.num_train_timesteps - 1
        noisy = backbone.add_noise(latents, noise, t)
        scheduler._step_index = index
        target = backbone.target(latents, noise, t)
        clean = scheduler.convert_model_output(target, sample=noisy)
        torch.testing.assert_close(clean, latents, rtol=0, atol=1e-12)


def test_noise_is_the_schedulers_at_every_timestep(backbone: Backbone) -> None:
    scheduler = FlowMatchEulerDiscreteScheduler()  # T, T - 1, ..., 1 over T
    t = torch.arange(999, -1, -1)
    one, zero = (torch.full((1000, 1, 1, 1, 1), x, dtype=torch.float64) for x in (1.0, 0.0))
    signal, noise = backbone.add_noise(one, zero, t), backbone.add_noise(zero, one, t)
    scheduled = scheduler.sigmas[:1000].double().view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(noise, scheduled, rtol=1e-7, atol=0)  # the scheduler's are float32
    torch.testing.assert_close(signal, 1 - noise, rtol=0, atol=1e-15)
    torch.testing.assert_close(backbone.snr(t), (signal / noise).flatten() ** 2, rtol=1e-12, atol=0)
    assert scheduler.timesteps[0] == 1000  # what the denoiser is told at our t = 999
    assert backbone.prediction == "flow"


def test_5b_is_told_by_its_channels(folder: Path, backbone: Backbone) -> None:
    """Also where the denoiser alone is loaded."""
    of_5b = backbone.denoiser.config.in_channels == 48
    assert backbone.fps == (24 if of_5b else 16)
    (folder / SAMPLER_FILE).rename(folder / "aside.json")
    alone = load_backbone(str(folder), denoiser_only=True)
    (folder / "aside.json").rename(folder / SAMPLER_FILE)
    own = alone.default_sampler
    assert (own.height, own.width) == ((704, 1280) if of_5b else (480, 832))
    assert (alone.fps, own.frames) == ((24, 121) if of_5b else (16, 81))


def test_the_defaults_are_the_pipelines() -> None:
    from inspect import signature

    from sipo.backbones.video.wan import TEXT_LENGTH, Wan

    known = signature(WanPipeline.__call__).parameters
    sampler = Wan.default_sampler
    assert (sampler.height, sampler.width) == (known["height"].default, known["width"].default)
    assert sampler.frames == known["num_frames"].default
    assert sampler.guidance == known["guidance_scale"].default
    assert known["max_sequence_length"].default == TEXT_LENGTH


def test_frames_that_it_cannot_make_are_refused(backbone: Backbone) -> None:
    with pytest.raises(ValueError, match=r"--frames 10 is not 1 \+ a multiple of 4.* 9 or 13"):
        backbone.sample(["a"], [0], Sampler(frames=10))
