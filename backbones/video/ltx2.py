"""LTX-2 (Lightricks 2026): rectified flow of a clip and its sound, one denoiser for both.

Latents are (C, F + S, H, W): the clip's F frames, then S frames that hold its sound, one place a
fortieth of a second, filled up with zeros. So the denoiser is asked what its pipeline asks it.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Any, cast

import torch
from diffusers import LTX2Pipeline, LTX2VideoTransformer3DModel, ModelMixin
from torch import Tensor, nn
from torch.nn.functional import pad

from sipo.backbones.base import ATTENTION, Conditioning, Sampler, Schedule, append_dims
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.video.base import VideoBackbone

HEIGHT_PX, WIDTH_PX, TEXT_LENGTH = 512, 768, 1024  # the pipeline's call
SIZE_STEP = 32  # what the pipeline asks, whatever the autoencoder


class Ltx2(VideoBackbone, FlowBackbone):
    family = "ltx2"
    lora_targets = ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = LTX2Pipeline
    denoiser_class = LTX2VideoTransformer3DModel
    fps = 24
    text_length = TEXT_LENGTH
    even_levels = True
    default_sampler = Sampler(
        steps=30, guidance=3.0, height=HEIGHT_PX, width=WIDTH_PX, frames=121
    )  # the pipeline's own defaults

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        self.config = config = denoiser.config
        self.frame_step = int(config.vae_scale_factors[0])
        self.sounds_s = (
            config.audio_sampling_rate / config.audio_hop_length / config.audio_scale_factor
        )

    def _native_size(self) -> tuple[int, int]:
        return HEIGHT_PX, WIDTH_PX

    def _size_step(self) -> int:
        return SIZE_STEP

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        whole = self._whole
        hidden, mask, *_ = whole.encode_prompt(
            list(texts),
            do_classifier_free_guidance=False,
            max_sequence_length=self.text_length,
            device=self._device,
        )
        side = whole.tokenizer.padding_side
        clip, sound, mask = whole.connectors(hidden, mask, padding_side=side)
        return {
            "encoder_hidden_states": clip,
            "audio_encoder_hidden_states": sound,
            "encoder_attention_mask": mask.bool(),
        }

    def _sounds(self, frames: int) -> int:
        """Places of sound beside F latent frames, as the pipeline counts them."""
        return round(((frames - 1) * self.frame_step + 1) / self.fps * self.sounds_s)

    def _parts(self, shape: Sequence[int]) -> tuple[int, int]:
        """Latent frames of the clip, and places of sound, of latents of that shape."""
        *_, both, height, width = shape
        for frames in range(both, 0, -1):
            if frames + ceil(self._sounds(frames) / (height * width)) == both:
                return frames, self._sounds(frames)
        raise ValueError(f"latents of {both} frames are no clip of {self.name!r} with its sound")

    def _split(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (B, C, F, H, W), sound (B, L, C) and what fills it up (B, C, rest)."""
        frames, sounds = self._parts(latents.shape)
        rest = latents[:, :, frames:].flatten(2)
        return latents[:, :, :frames], rest[..., :sounds].transpose(1, 2), rest[..., sounds:]

    def _joined(self, clip: Tensor, sound: Tensor, filling: Tensor | None = None) -> Tensor:
        places = clip.shape[-2] * clip.shape[-1]
        rest = sound.transpose(1, 2)
        rest = (
            pad(rest, (0, -rest.shape[-1] % places))
            if filling is None
            else torch.cat([rest, filling], -1)
        )
        return torch.cat([clip, rest.unflatten(2, (-1, *clip.shape[-2:]))], dim=2)

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told T sigma = t + 1. What fills the sound up moves straight to zero."""
        clip, sound, filling = self._split(self._typed(noisy))
        mask = conditioning["encoder_attention_mask"].to(clip.dtype)
        told = timesteps.float() + 1
        frames, height, width = clip.shape[2:]
        answer = denoiser(
            clip.flatten(2).transpose(1, 2),
            sound,
            self._typed(conditioning["encoder_hidden_states"]),
            self._typed(conditioning["audio_encoder_hidden_states"]),
            timestep=told,
            sigma=told,
            encoder_attention_mask=mask,
            audio_encoder_attention_mask=mask,
            num_frames=frames,
            height=height,
            width=width,
            fps=float(self.fps),
            audio_num_frames=sound.shape[1],
            use_cross_timestep=True,
        )
        moved = answer.sample.transpose(1, 2).unflatten(2, (frames, height, width))
        filling = filling / append_dims(self.sigma(timesteps), filling).to(filling.dtype)
        return self._joined(moved, answer.audio_sample, filling)

    def _of_call(self, made: Any) -> Tensor:
        """The pipeline's latents are no longer normalised."""
        vae, heard, whole = self._whole.vae, self._whole.audio_vae, self._whole
        clip, sound = made
        clip = whole._normalize_latents(
            clip, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        sound = whole._normalize_audio_latents(
            whole._pack_audio_latents(sound), heard.latents_mean, heard.latents_std
        )
        return self._joined(clip, sound)

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        """Without sound: the mean of all sounds."""
        vae = self._whole.vae
        mean = vae.encode(self._for_vae(pixels)).latent_dist.mean
        clip = self._whole._normalize_latents(
            mean, vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        return self._joined(
            clip, clip.new_zeros(len(clip), self._sounds(clip.shape[2]), clip.shape[1])
        )

    def _decode(self, latents: Tensor) -> Tensor:
        vae, (clip, *_) = self._whole.vae, self._split(latents)
        clip = self._whole._denormalize_latents(
            self._for_vae(clip), vae.latents_mean, vae.latents_std, vae.config.scaling_factor
        )
        return cast(Tensor, vae.decode(clip, None).sample)
