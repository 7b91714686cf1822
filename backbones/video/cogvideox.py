"""CogVideoX 2B, 5B and 1.5 (Yang et al. 2024): v prediction on clips, zero terminal SNR.

Latents are (B, C, F, H, W) outside and (B, F, C, H, W) inside, as the pipeline has them. The VAE
wants an odd number F of latent frames; 1.5 patches two of them at a time, and pads one in front.
"""

from __future__ import annotations

from math import lcm
from typing import cast

import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
    ModelMixin,
)
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.pipelines.cogvideo.pipeline_cogvideox import get_resize_crop_region_for_grid
from torch import Tensor, nn

from sipo.backbones.base import ATTENTION, Conditioning, Prediction, Sampler, Schedule
from sipo.backbones.video.base import VideoBackbone


class CogVideoX(VideoBackbone):
    family = "cogvideox"
    lora_targets = ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = CogVideoXPipeline
    denoiser_class = CogVideoXTransformer3DModel
    step_caches = True

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        # 5B samples with CogVideoXDPMScheduler, whose schedule is the same.
        self.schedule = CogVideoXDDIMScheduler.from_config(schedule)
        self.prediction = cast(Prediction, self.schedule.config.prediction_type)
        self.num_train_timesteps = self.schedule.config.num_train_timesteps
        self.config = denoiser.config
        self.text_length = self.config.max_text_seq_length
        self.frame_step = 2 * self.config.temporal_compression_ratio
        self.fps = 8 if self.config.patch_size_t is None else 16
        self.default_sampler = Sampler(steps=50, guidance=6.0, frames=self.config.sample_frames)

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        latents = super().encode_images(pixels)
        if self.config.patch_size_t is not None:
            latents = torch.cat([latents[:, :, :1], latents], dim=2)
        return latents

    def _native_size(self) -> tuple[int, int]:
        scale = self._whole.vae_scale_factor_spatial
        return self.config.sample_height * scale, self.config.sample_width * scale

    def _size_step(self) -> int:
        """8 is what the pipeline asks, whatever the autoencoder."""
        return lcm(8, self._whole.vae_scale_factor_spatial * self.config.patch_size)

    def _decode(self, latents: Tensor) -> Tensor:
        padding = 1 - latents.shape[2] % 2
        frames_first = self._for_vae(latents).transpose(1, 2)
        return cast(Tensor, self._whole.decode_latents(frames_first[:, padding:]))

    def _unpacked(self, latents: Tensor, sampler: Sampler) -> Tensor:
        return latents.transpose(1, 2)

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return cast(Tensor, self.schedule.add_noise(latents, noise, timesteps))

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return cast(Tensor, self.schedule.get_velocity(latents, noise, timesteps))

    def snr(self, timesteps: Tensor) -> Tensor:
        """0 at the last timestep."""
        alphas = self.schedule.alphas_cumprod.to(timesteps.device, torch.float64)[timesteps]
        return cast(Tensor, alphas / (1 - alphas))

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        prediction = denoiser(
            self._typed(noisy).transpose(1, 2),
            timestep=timesteps,
            encoder_hidden_states=self._typed(conditioning["encoder_hidden_states"]),
            image_rotary_emb=self._rotary(noisy),
        ).sample
        return cast(Tensor, prediction.transpose(1, 2))

    def _rotary(self, latents: Tensor) -> tuple[Tensor, Tensor] | None:
        """Cosines and sines of every patch; 2B has none.

        As the pipeline's `_prepare_rotary_positional_embeddings`, which needs a VAE for that.
        """
        config, patch = self.config, self.config.patch_size
        if not config.use_rotary_positional_embeddings:
            return None
        frames, height, width = latents.shape[2:]
        grid = (height // patch, width // patch)
        base = (config.sample_height // patch, config.sample_width // patch)
        if config.patch_size_t is None:
            crop = get_resize_crop_region_for_grid(grid, base[1], base[0])
            where = {"crops_coords": crop, "temporal_size": frames}
        else:
            where = {"crops_coords": None, "grid_type": "slice", "max_size": base}
            where["temporal_size"] = -(-frames // config.patch_size_t)
        return cast(
            tuple[Tensor, Tensor],
            get_3d_rotary_pos_embed(
                config.attention_head_dim, grid_size=grid, device=latents.device, **where
            ),
        )
