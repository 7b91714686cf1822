"""LTX-2 against its own pipeline, at tiny size: clip and sound together."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import assert_other_picture, assert_same_picture, assert_same_values, deviation
from diffusers import LTX2Pipeline, LTX2VideoTransformer3DModel
from tiny_ltx2 import LTX2_PX, ltx2_scheduler, ltx2_vae, tiny_ltx2
from tiny_video import plain_clip, watch

from sipo.backbones.base import Sampler
from sipo.backbones.blocks import WHOLE, blocks_of
from sipo.backbones.cost.counted import MODELS
from sipo.backbones.registry import load_backbone
from sipo.backbones.text_limits import limit_of
from sipo.backbones.video.clip_and_sound import ClipAndSound, joined
from sipo.backbones.video.ltx2 import Ltx2
from sipo.train.settings import make_settings
from sipo.train.timesteps import trained_timesteps

TEXT = "a red dog"
SAMPLER = Sampler(steps=3, guidance=3.0, height=LTX2_PX, width=2 * LTX2_PX, frames=17)
SHAPE = (4, 10, 4, 8)  # nine latent frames, and 18 latents of sound in one more
PUBLISHED = ClipAndSound(8, 24, 16000, 160, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ltx2(tmp_path_factory.mktemp("ltx2") / "tiny-ltx2")


@pytest.fixture(scope="module")
def backbone(folder: Path) -> Ltx2:
    loaded = load_backbone(str(folder))
    assert isinstance(loaded, Ltx2)
    return loaded


def test_predictions_are_the_pipelines(folder: Path, backbone: Ltx2) -> None:
    """Timesteps, text, sound, both halves of plain guidance, levels; of the clip and its sound."""
    plain = LTX2Pipeline.from_pretrained(folder)
    calls, heard = watch(plain, scheduler=False), list[torch.Tensor]()
    plain.transformer.register_forward_hook(lambda _, __, out: heard.append(out[1]))
    plain_clip(plain, TEXT, 5, SAMPLER)
    assert len(calls.fed) == 3 * SAMPLER.steps  # the first has two rows
    levels = backbone.noise_levels(SAMPLER.steps, SHAPE)
    for level, fed, got, sound in zip(
        levels, calls.fed[::3], calls.got[::3], heard[::3], strict=True
    ):
        assert fed["timestep"].shape == (2,)  # without the prompt, with it
        assert not fed["isolate_modalities"]
        t = fed["timestep"] - 1  # the pipeline tells T sigma, we count from 0
        assert_same_values(backbone.sigma(t, torch.float64), level.expand(2))
        noisy = joined(_frames(fed["hidden_states"]), fed["audio_hidden_states"])
        assert noisy.shape[1:] == SHAPE
        with torch.no_grad():
            prompts = backbone.encode_prompts(["", TEXT])
            ours = backbone.predict(backbone.denoiser, noisy, t, prompts)
        clip, said, filling = backbone.layout.split(ours)
        assert_same_values(clip, _frames(got))
        assert_same_values(said, sound)
        assert not filling.any()
        assert deviation(clip[0], clip[1]) > 1e-4


def _frames(tokens: torch.Tensor) -> torch.Tensor:
    return tokens.transpose(1, 2).unflatten(2, (9, *SHAPE[2:]))


def test_the_clip_hears_the_sound(backbone: Ltx2) -> None:
    prompts = backbone.encode_prompts([TEXT] * 2)
    noisy, t = torch.randn(1, *SHAPE).repeat(2, 1, 1, 1, 1), torch.tensor([500, 500])
    noisy[1, :, -1, 0] += 1
    with torch.no_grad():
        one, other = backbone.predict(backbone.denoiser, noisy, t, prompts)[:, :, :9]
    assert deviation(one, other) > 1e-4


def test_what_fills_the_sound_up_is_known_exactly(backbone: Ltx2) -> None:
    """From any level it moves to zero in one step, so that nothing is learnt of it."""
    clean, noise = torch.randn(2, 1, *SHAPE)
    clean = joined(*backbone.layout.split(clean)[:2])
    t = torch.tensor([300])
    noisy, target = backbone.add_noise(clean, noise, t), backbone.target(clean, noise, t)
    with torch.no_grad():
        answer = backbone.predict(backbone.denoiser, noisy, t, backbone.encode_prompts([TEXT]))
    assert_same_values(backbone.layout.split(answer)[2], backbone.layout.split(target)[2])


def test_the_exact_velocity_leads_to_the_clean_latents(backbone: Ltx2) -> None:
    """By the checkpoint's own scheduler, one step from each of its levels to the clean end."""
    scheduler, levels = ltx2_scheduler(), backbone.noise_levels(7, SHAPE)
    latents, noise = torch.randn(2, 1, *SHAPE, dtype=torch.float64)
    scheduler.set_timesteps(7, mu=1.0)
    assert levels[0] == 1
    assert levels[-1] == pytest.approx(0.1)
    for sigma in levels:
        t = sigma[None] * backbone.num_train_timesteps - 1
        noisy, target = backbone.add_noise(latents, noise, t), backbone.target(latents, noise, t)
        scheduler.sigmas, scheduler._step_index = torch.stack([sigma, sigma * 0]), 0
        [clean] = scheduler.step(target, t + 1, noisy, return_dict=False)
        torch.testing.assert_close(clean.double(), latents, rtol=0, atol=1e-6)  # it rounds sigma


@pytest.mark.parametrize("frames", [1, 9, 121, 505])
@pytest.mark.parametrize("size", [(16, 24), (2, 2), (1, 1)])
def test_every_clip_is_found_again_in_its_latents(frames: int, size: tuple[int, int]) -> None:
    latent = (frames - 1) // 8 + 1
    sounds = round(frames / 24 * 25.0)
    clip, sound = torch.randn(1, 3, latent, *size), torch.randn(1, sounds, 3)
    both = joined(clip, sound)
    again, heard, filling = PUBLISHED.split(both)
    assert PUBLISHED.parts(both.shape[1:]) == (latent, sounds)
    assert torch.equal(again, clip)
    assert torch.equal(heard, sound)
    assert not filling.any()


def test_a_hundred_and_twenty_one_frames_have_126_latents_of_sound() -> None:
    assert PUBLISHED.parts((128, 17, 16, 24)) == (16, 126)
    with pytest.raises(
        ValueError, match="latents of 1 frames, 16 x 24, are no clip with its sound"
    ):
        PUBLISHED.parts((128, 1, 16, 24))


def test_a_candidate_keeps_what_the_pipeline_made(backbone: Ltx2) -> None:
    """Its frames and its sound, normalised as the denoiser sees them."""
    plain: Any = backbone._whole
    sampler = backbone.default_sampler
    [sample] = backbone.sample([TEXT], [4], sampler)
    clip, sound = plain(
        TEXT,
        generator=torch.Generator().manual_seed(4),
        num_inference_steps=sampler.steps,
        guidance_scale=sampler.guidance,
        num_frames=sampler.frames,
        height=sampler.height,
        width=sampler.width,
        output_type="latent",
        return_dict=False,
    )
    kept, heard, _ = backbone.layout.split(sample.latents[None])
    mean, std = (v.view(1, -1, 1, 1, 1) for v in (plain.vae.latents_mean, plain.vae.latents_std))
    assert_same_values(kept * std + mean, clip)
    mean, std = plain.audio_vae.latents_mean, plain.audio_vae.latents_std
    assert_same_values(heard * std + mean, plain._pack_audio_latents(sound))


def test_an_imported_clip_has_no_sound(backbone: Ltx2) -> None:
    """Its frames are the autoencoder's, normalised; what they are decoded to hears nothing."""
    pixels = torch.rand(1, 3, 9, LTX2_PX, LTX2_PX) * 2 - 1
    latents = backbone.encode_images(pixels)
    [sample] = backbone.sample([TEXT], [0], backbone.default_sampler)
    assert latents.shape[1:] == sample.latents.shape
    clip, sound, _ = backbone.layout.split(latents)
    assert not sound.any()
    vae: Any = backbone._whole.vae
    mean, std = (value.view(1, -1, 1, 1, 1) for value in (vae.latents_mean, vae.latents_std))
    with torch.no_grad():
        assert_same_values(clip * std + mean, vae.encode(pixels).latent_dist.mean)
    louder = joined(clip, sound + 1)
    assert_same_picture(*(backbone.decode_clips(one)[0] for one in (latents, louder)))
    [kept] = backbone.decode_clips(sample.latents[None])
    assert_other_picture(kept, backbone.decode_clips(latents)[0])


def test_an_autoencoder_that_is_told_a_level_is_told_none(folder: Path) -> None:
    other: Any = load_backbone(str(folder))
    other._whole.vae = ltx2_vae(timestep_conditioning=True)
    [ours] = other.sample([TEXT], [1], other.default_sampler)
    assert_same_picture(ours.frames, plain_clip(other._whole, TEXT, 1, other.default_sampler))


def test_the_defaults_are_the_pipelines(backbone: Ltx2) -> None:
    """Which takes 121 frames where none are given, or guesses how long a prompt's clip is."""
    assert backbone._call_options(Sampler())["num_frames"] == 121
    known = signature(LTX2Pipeline.__call__).parameters
    sampler = Ltx2.default_sampler
    for name, value in {
        "num_inference_steps": sampler.steps,
        "guidance_scale": sampler.guidance,
        "height": sampler.height,
        "width": sampler.width,
        "frame_rate": Ltx2.fps,
        "max_sequence_length": Ltx2.text_length,
    }.items():
        assert known[name].default == value


def test_it_asks_four_rows_a_step_and_d3po_is_refused(folder: Path) -> None:
    alone = load_backbone(str(folder), denoiser_only=True)
    settings = make_settings({"objective": "d3po", "judge": "fake"})
    said = r"--objective 'd3po' samples with two predictions a step.*'.*tiny-ltx2' guides by 4"
    with pytest.raises(ValueError, match=said):
        trained_timesteps(settings, alone)
    assert trained_timesteps(make_settings({"objective": "sipo"}), alone) == range(1000)


@pytest.mark.parametrize(
    "other", [{"audio_in_channels": 8}, {"patch_size": 2}, {"patch_size_t": 2}], ids=str
)
def test_sound_that_does_not_fit_beside_frames_is_refused(other: dict[str, int]) -> None:
    given = {"num_layers": 0, "in_channels": 4} | {"audio_in_channels": 4} | other
    with torch.device("meta"):
        denoiser = LTX2VideoTransformer3DModel(**given)
    with pytest.raises(ValueError, match=r"--backbone 'other': its clips have 4 channels and"):
        Ltx2("other", denoiser, {"num_train_timesteps": 1000})


def test_parts_that_count_otherwise_are_refused(backbone: Ltx2) -> None:
    pipeline = backbone._whole
    was, pipeline.audio_hop_length = pipeline.audio_hop_length, 320
    with pytest.raises(ValueError, match=r"says ClipAndSound\(.*hop_length=160.*hop_length=320"):
        Ltx2.from_pipeline("other", pipeline)
    pipeline.audio_hop_length = was


def test_frames_and_sizes_it_cannot_make_are_refused(backbone: Ltx2) -> None:
    with pytest.raises(ValueError, match=r"--frames 10 is not 1 \+ a multiple of 2.* 9 or 11"):
        backbone.sample(["a"], [0], Sampler(frames=10))
    with pytest.raises(ValueError, match=r"--frames 10 is not 1 \+ a multiple of 2.* 9 or 11"):
        backbone.encode_images(torch.zeros(1, 3, 10, LTX2_PX, LTX2_PX))
    with pytest.raises(ValueError, match=r"--height 48 is no multiple of 32"):
        backbone.sample(["a"], [0], Sampler(height=48, frames=9))


def test_its_text_and_blocks(backbone: Ltx2) -> None:
    assert limit_of(backbone._whole) == 1024
    assert len(list(blocks_of(backbone.denoiser, WHOLE))) == 2  # each divided by itself by FSDP2


def test_its_counted_latents_have_room_for_the_sound() -> None:
    """Of 8 n + 1 frames; what is counted is the clip and 126 latents of sound."""
    model = next(one for one in MODELS if one.pipeline == "LTX2Pipeline")
    assert model.sized(512, 768, 121) == model.latents == (128, 17, 16, 24)
    assert model.sized(512, 768, 241) == (128, 32, 16, 24)
    assert model.rows == 4
