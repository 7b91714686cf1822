"""CogVideoX against its own pipeline and scheduler: 2B, 5B and 1.5 at tiny size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from alike import assert_same_values
from diffusers import CogVideoXPipeline
from tiny_video import cogvideox_scheduler, plain_clip, tiny_cogvideox, watch

from sipo.backbones.base import Sampler
from sipo.backbones.registry import load_backbone

KINDS = ("2b", "5b", "1.5")
SMALLER = Sampler(steps=3, guidance=3.0, height=8, width=16, frames=17)
"""Not the size the transformer was made for, nor a square."""


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_are_the_pipelines(kind: str, tmp_path: Path) -> None:
    """Order of dimensions, rotary embeddings, timesteps, both halves of guidance."""
    folder = tiny_cogvideox(tmp_path, kind)
    backbone = load_backbone(str(folder), denoiser_only=True)
    plain = CogVideoXPipeline.from_pretrained(folder)
    calls = watch(plain)
    plain_clip(plain, "a red dog", 5, SMALLER)
    texts = load_backbone(str(folder)).encode_prompts(["", "a red dog"])
    assert len(calls.fed) == len(calls.stepped) == 3
    for fed, got, stepped in zip(calls.fed, calls.got, calls.stepped, strict=True):
        noisy = fed["hidden_states"].transpose(1, 2)
        with torch.no_grad():
            ours = backbone.predict(backbone.denoiser, noisy, fed["timestep"], texts)
        assert ours.shape == noisy.shape
        assert_same_values(ours, got.transpose(1, 2))
        without, with_prompt = ours.transpose(1, 2).chunk(2)
        assert_same_values(without + 3.0 * (with_prompt - without), stepped)
    assert (calls.fed[0]["image_rotary_emb"] is None) == (kind == "2b")


@pytest.mark.parametrize("kind", ["2b", "5b"])
def test_noise_and_target_are_the_schedulers(kind: str, tmp_path: Path) -> None:
    """A DDIM step with the exact target lands on the exact x_s, from pure noise on; float64."""
    backbone = load_backbone(str(tiny_cogvideox(tmp_path, kind)), denoiser_only=True)
    scheduler = type(cogvideox_scheduler("2b")).from_config(cogvideox_scheduler(kind).config)
    scheduler.set_timesteps(10)
    latents, noise = torch.randn(2, 1, 4, 3, 4, 4, dtype=torch.float64)
    assert scheduler.timesteps[0] == 999
    for t, s in zip(scheduler.timesteps, scheduler.timesteps[1:], strict=False):
        noisy = backbone.add_noise(latents, noise, t[None])
        target = backbone.target(latents, noise, t[None])
        [landed] = scheduler.step(target, int(t), noisy, return_dict=False)[:1]
        expected = backbone.add_noise(latents, noise, s[None])
        torch.testing.assert_close(landed, expected, rtol=0, atol=1e-12)
    assert backbone.prediction == "v_prediction"


def test_snr_is_that_of_the_noise_and_ends_at_zero(tmp_path: Path) -> None:
    backbone = load_backbone(str(tiny_cogvideox(tmp_path)), denoiser_only=True)
    every = torch.arange(1000)
    one, zero = (torch.full((1000, 1, 1, 1, 1), x, dtype=torch.float64) for x in (1.0, 0.0))
    signal = backbone.add_noise(one, zero, every).flatten()
    noise = backbone.add_noise(zero, one, every).flatten()
    torch.testing.assert_close(backbone.snr(every), (signal / noise) ** 2, rtol=1e-12, atol=0)
    assert backbone.snr(every)[-1] == 0
    assert (backbone.snr(every).diff() < 0).all()


def test_checkpoints_say_how_they_are_sampled(tmp_path: Path) -> None:
    """Frames and their rate; a number the VAE cannot make is refused."""
    from diffusers import CogVideoXTransformer3DModel

    from sipo.backbones.video.cogvideox import CogVideoX

    backbone = load_backbone(str(tiny_cogvideox(tmp_path, "1.5")))
    assert backbone.fps == 16
    published = CogVideoX("2b", _on_meta(CogVideoXTransformer3DModel), _schedule("2b"))
    assert published.default_sampler == Sampler(steps=50, guidance=6.0, frames=49)
    assert (published.fps, published.text_length) == (8, 226)
    with pytest.raises(ValueError, match=r"--frames 13 is not 1 \+ a multiple of 8.* 9 or 17"):
        backbone.sample(["a"], [0], Sampler(frames=13))


def _on_meta(kind: type) -> torch.nn.Module:
    with torch.device("meta"):
        module: torch.nn.Module = kind(num_layers=1)
    return module


def _schedule(kind: str) -> dict[str, object]:
    return dict(cogvideox_scheduler(kind).config)
