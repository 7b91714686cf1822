"""Wan 2.1 text-to-video (Wan team 2025): rectified flow on clips, latents normalised by channel."""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, Self, cast

import torch
from diffusers import WanPipeline, WanTransformer3DModel
from torch import Tensor, nn

from sipo.backbones.base import ATTENTION, Conditioning, Sampler
from sipo.backbones.channel_statistics import channel_statistics
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.pipeline import Dtypes
from sipo.backbones.video.base import VideoBackbone

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

HEIGHT_PX, WIDTH_PX = 480, 832
TEXT_LENGTH = 512  # the pipeline's call; its encode_prompt says 226


class Wan(VideoBackbone, FlowBackbone):
    family = "wan"
    lora_targets = ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = WanPipeline
    denoiser_class = WanTransformer3DModel
    step_caches = True
    fps = 16
    frame_step = 4  # of the 2.1 VAE
    text_length = TEXT_LENGTH
    default_sampler = Sampler(
        steps=50, guidance=5.0, height=HEIGHT_PX, width=WIDTH_PX, frames=81
    )  # the pipeline's own defaults

    def _native_size(self) -> tuple[int, int]:
        return HEIGHT_PX, WIDTH_PX

    def _size_step(self) -> int:
        """16 is what the pipeline asks, whatever the autoencoder."""
        patch = self._whole.transformer.config.patch_size  # frames, rows, columns
        return lcm(16, self._whole.vae_scale_factor_spatial * patch[1])

    @classmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        """The VAE in float32, as its authors ask. Raises ValueError for Wan 2.2."""
        config = WanPipeline.load_config(path)
        if config.get("boundary_ratio") is not None or config.get("expand_timesteps"):
            raise ValueError(
                f"--backbone {path!r} is a Wan 2.2, which has two denoisers or a timestep for "
                "every patch; give a text-to-video checkpoint of Wan 2.1"
            )
        if not denoiser_only:
            assert isinstance(dtype, torch.dtype)
            dtype = {"default": dtype, "vae": torch.float32}
        return super().load(path, denoiser_only, dtype, quantization)

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        mean, std = self._statistics()
        encoded = self._whole.vae.encode(self._for_vae(pixels))
        return cast(Tensor, (encoded.latent_dist.mean - mean) / std)

    def _decode(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics()
        # Divided by the inverse, as the pipeline does: the same bits.
        scaled = self._for_vae(latents) / (1 / std) + mean
        return cast(Tensor, self._whole.vae.decode(scaled).sample)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        return channel_statistics(self._whole.vae, self._device)

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told T sigma = t + 1."""
        return cast(
            Tensor,
            denoiser(
                self._typed(noisy),
                timestep=timesteps + 1,
                encoder_hidden_states=self._typed(conditioning["encoder_hidden_states"]),
            ).sample,
        )
