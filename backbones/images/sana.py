"""Sana 1.0 and 1.5 (Xie et al. 2024): rectified flow, linear attention, 32 pixels a latent."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from math import lcm
from typing import Any, cast

import torch
from diffusers import SanaPipeline, SanaTransformer2DModel
from torch import Tensor, nn

from sipo.backbones.base import Conditioning, Sampler
from sipo.backbones.flow import FlowBackbone


class Sana(FlowBackbone):
    family = "sana"
    lora_targets = ("to_q", "to_k", "to_v", "to_out.0")
    denoiser_folder = "transformer"
    pipeline_class = SanaPipeline
    denoiser_class = SanaTransformer2DModel
    default_sampler = Sampler(steps=20, guidance=4.5)  # the pipeline's own defaults

    def __init__(self, name: str, denoiser: Any, schedule: dict[str, Any]) -> None:
        super().__init__(name, denoiser, schedule)
        self.timestep_scale = float(denoiser.config.timestep_scale)
        self.channels = int(denoiser.config.in_channels)

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """A prompt follows the pipeline's instruction to its language model; the empty one does
        not, as where the pipeline guides with it.
        """
        call = signature(SanaPipeline.__call__).parameters
        instruction = call["complex_human_instruction"].default
        rows = [
            self._whole.encode_prompt(
                text,
                do_classifier_free_guidance=False,
                device=self._device,
                complex_human_instruction=instruction if text else None,
            )[:2]
            for text in texts
        ]
        hidden, mask = (torch.cat(column) for column in zip(*rows, strict=True))
        return {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}

    @torch.no_grad()
    def encode_images(self, pixels: Tensor) -> Tensor:
        """Its autoencoder has no posterior, but one latent an image."""
        vae = self._whole.vae
        latents = vae.encode(pixels.to(self._device, vae.dtype)).latent
        return cast(Tensor, latents * vae.config.scaling_factor)

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told a multiple of T sigma = t + 1. A variance it may add is left out."""
        typed = {name: self._typed(value) for name, value in conditioning.items()}
        output = denoiser(
            self._typed(noisy), timestep=(timesteps.float() + 1) * self.timestep_scale, **typed
        )
        return cast(Tensor, output.sample[:, : self.channels])

    def _call_options(self, sampler: Sampler) -> dict[str, Any]:
        """The size that is asked for, not the nearest of training: so latents are the image's."""
        height, width = self._native_size()
        return {
            "height": sampler.height or height,
            "width": sampler.width or width,
            "use_resolution_binning": False,
        }

    def _native_size(self) -> tuple[int, int]:
        side = self._whole.transformer.config.sample_size * self._whole.vae_scale_factor
        return side, side

    def _size_step(self) -> int:
        """32 is what the pipeline asks, whatever the autoencoder."""
        return lcm(32, self._whole.vae_scale_factor)
