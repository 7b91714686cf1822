"""Wan 2.1 and 2.2 text-to-video (Wan team 2025): rectified flow on clips.

Latents are normalised by channel. 2.2 A14B has two denoisers (experts.py). 2.2 5B has an
autoencoder of 48 channels and 16 pixels a latent; its pipeline tells a timestep for every patch,
which without a first image are all one: a timestep a clip says the same.
"""

from __future__ import annotations

from math import lcm
from typing import TYPE_CHECKING, Self, cast

import torch
from diffusers import ModelMixin, WanPipeline, WanTransformer3DModel
from torch import Tensor, nn

from sipo.backbones.base import ATTENTION, Conditioning, Sampler, Schedule
from sipo.backbones.channel_statistics import channel_statistics
from sipo.backbones.experts import ExpertsBackbone
from sipo.backbones.pipeline import Dtypes
from sipo.backbones.video.base import VideoBackbone

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

HEIGHT_PX, WIDTH_PX = 480, 832
CHANNELS_5B = 48  # of latents; all others have 16
SAMPLER_5B = Sampler(steps=50, guidance=5.0, height=704, width=1280, frames=121)
SAMPLER_A14B = Sampler(
    steps=40, guidance=4.0, guidance_2=3.0, height=HEIGHT_PX, width=WIDTH_PX, frames=81
)
"""The authors' (github.com/Wan-Video/Wan2.2, wan/configs/); of A14B the smaller of two sizes."""
TEXT_LENGTH = 512  # the pipeline's call; its encode_prompt says 226


class Wan(ExpertsBackbone, VideoBackbone):
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

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        self._size = HEIGHT_PX, WIDTH_PX
        if denoiser.config.in_channels == CHANNELS_5B:
            self.fps, self.default_sampler, self._size = 24, SAMPLER_5B, (704, 1280)

    def _divide(self, ratio: float, networks: dict[str, ModelMixin]) -> None:
        super()._divide(ratio, networks)
        self.default_sampler = SAMPLER_A14B

    def _native_size(self) -> tuple[int, int]:
        return self._size

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        height, width = self._native_size()  # the pipeline's are 2.1's
        return {"height": height, "width": width} | super()._call_options(sampler)

    def _size_step(self) -> int:
        """16 is what the pipeline asks, whatever the autoencoder."""
        patch = self._whole.transformer.config.patch_size  # frames, rows, columns
        return lcm(16, self._whole.vae_scale_factor_spatial * patch[1])

    @classmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        """The VAE in float32, as its authors ask."""
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
