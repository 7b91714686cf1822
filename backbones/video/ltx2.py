"""LTX-2 (Lightricks 2026), text to video: rectified flow of a clip and its sound by one denoiser.

Its sound, 25 latents a second as published, stands in a candidate's latents behind its frames
(clip_and_sound.py), so that the denoiser is asked what its pipeline asks it. What is decoded and
judged is the clip alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm, prod
from typing import Any, Self, cast

import torch
from diffusers import DiffusionPipeline, LTX2Pipeline, LTX2VideoTransformer3DModel, ModelMixin
from torch import Tensor, nn

from sipo.backbones.base import ATTENTION, Conditioning, Sampler, Schedule, append_dims
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.video.base import VideoBackbone
from sipo.backbones.video.clip_and_sound import ClipAndSound, joined

HEIGHT_PX, WIDTH_PX, FRAMES, TEXT_LENGTH = 512, 768, 121, 1024  # the pipeline's call


class Ltx2(VideoBackbone, FlowBackbone):
    family = "ltx2"
    lora_targets = ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = LTX2Pipeline
    denoiser_class = LTX2VideoTransformer3DModel
    fps = 24
    text_length = TEXT_LENGTH
    even_levels = True
    default_sampler = Sampler(  # the pipeline's own defaults
        steps=30, guidance=3.0, height=HEIGHT_PX, width=WIDTH_PX, frames=FRAMES
    )

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        """Raises ValueError where the sound's places are no places of the clip's latents."""
        super().__init__(name, denoiser, schedule)
        config, patch = denoiser.config, (denoiser.config.patch_size_t, denoiser.config.patch_size)
        if config.in_channels != config.audio_in_channels or patch != (1, 1):
            raise ValueError(
                f"--backbone {name!r}: its clips have {config.in_channels} channels and its sound "
                f"{config.audio_in_channels}, in patches of {patch}; give an LTX-2 whose latents "
                "have as many of both, in patches of (1, 1), as the published ones"
            )
        self.layout = ClipAndSound.of_denoiser(config, self.fps)
        self.frame_step = self.layout.frame_step

    @classmethod
    def from_pipeline(cls, name: str, pipeline: DiffusionPipeline) -> Self:
        """Raises ValueError where denoiser and autoencoders count frames and sound differently."""
        backbone = super().from_pipeline(name, pipeline)
        theirs = ClipAndSound.of_autoencoders(pipeline, cls.fps)
        if theirs != backbone.layout:
            raise ValueError(
                f"--backbone {name!r}: its transformer's config.json says {backbone.layout}, its "
                f"autoencoders' {theirs}; make them agree"
            )
        return backbone

    def rows_a_step(self, guidance: float) -> int:
        """Without prompt, with it, with blocks that do not attend, clip and sound apart."""
        return 4

    def guidance_scale(self, guidance: float) -> float:
        """Of the first two, also below 1: the sound's own scale has them both asked."""
        return guidance

    def _native_size(self) -> tuple[int, int]:
        return HEIGHT_PX, WIDTH_PX

    def _size_step(self) -> int:
        """32 is what the pipeline asks, whatever the autoencoder."""
        return lcm(32, self._whole.vae_spatial_compression_ratio)

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        """Where no number of frames is given, some pipelines would guess one from the prompt."""
        return {"num_frames": FRAMES} | super()._call_options(sampler)

    def _sequence_length(self, shape: Sequence[int]) -> int:
        return self.layout.parts(shape)[0] * prod(shape[-2:])

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        whole = self._whole
        hidden, mask, *_ = whole.encode_prompt(
            list(texts),
            do_classifier_free_guidance=False,
            max_sequence_length=self.text_length,
            device=self._device,
        )
        clip, sound, mask = whole.connectors(hidden, mask, whole.tokenizer.padding_side)
        return {
            "encoder_hidden_states": clip,
            "audio_encoder_hidden_states": sound,
            "encoder_attention_mask": mask.bool(),
        }

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told T sigma = t + 1. What fills the sound up moves straight to zero."""
        clip, sound, filling = self.layout.split(self._typed(noisy))
        mask = conditioning["encoder_attention_mask"].to(clip.dtype)
        told = timesteps.float() + 1
        answer = denoiser(
            clip.flatten(2).transpose(1, 2),
            sound,
            self._typed(conditioning["encoder_hidden_states"]),
            self._typed(conditioning["audio_encoder_hidden_states"]),
            timestep=told,
            sigma=told,
            encoder_attention_mask=mask,
            audio_encoder_attention_mask=mask,
            fps=float(self.fps),
            audio_num_frames=sound.shape[1],
            **dict(zip(("num_frames", "height", "width"), clip.shape[2:], strict=True)),
        )
        moved = answer.sample.transpose(1, 2).unflatten(2, clip.shape[2:])
        filling = filling / append_dims(self.sigma(timesteps), filling).to(filling.dtype)
        return joined(moved, torch.cat([answer.audio_sample, filling], dim=1))

    def _of_call(self, made: Any) -> Tensor:
        """The pipeline's latents are no longer normalised."""
        whole, heard = self._whole, self._whole.audio_vae
        sound = whole._pack_audio_latents(made[1])
        sound = whole._normalize_audio_latents(sound, heard.latents_mean, heard.latents_std)
        return joined(whole._normalize_latents(made[0], *self._statistics()), sound)

    def _statistics(self) -> tuple[Tensor, Tensor, float]:
        vae = self._whole.vae
        return vae.latents_mean, vae.latents_std, float(vae.config.scaling_factor)

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        """Sound is zeros, which is the mean of all sounds. Raises ValueError as `sample`."""
        self._check_frames(pixels.shape[2])
        mean = self._whole.vae.encode(self._for_vae(pixels)).latent_dist.mean
        clip = self._whole._normalize_latents(mean, *self._statistics())
        sounds = self.layout.sounds(clip.shape[2])
        return joined(clip, clip.new_zeros(len(clip), sounds, clip.shape[1]))

    def _decode(self, latents: Tensor) -> Tensor:
        vae, (clip, *_) = self._whole.vae, self.layout.split(latents)
        clip = self._whole._denormalize_latents(self._for_vae(clip), *self._statistics())
        level = clip.new_zeros(len(clip)) if vae.config.timestep_conditioning else None
        return cast(Tensor, vae.decode(clip, level).sample)
