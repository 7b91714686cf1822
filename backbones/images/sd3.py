"""Stable Diffusion 3 and 3.5 (Esser et al. 2024): rectified flow, three text encoders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from diffusers import SD3Transformer2DModel, StableDiffusion3Pipeline
from torch import Tensor, nn

from sipo.backbones.base import JOINT_ATTENTION, Conditioning, Sampler
from sipo.backbones.flow import FlowBackbone


class StableDiffusion3(FlowBackbone):
    family = "stable_diffusion_3"
    lora_targets = JOINT_ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = StableDiffusion3Pipeline
    denoiser_class = SD3Transformer2DModel
    default_sampler = Sampler(steps=28, guidance=7.0)  # the pipeline's own defaults

    def _size_step(self) -> int:
        return int(self._whole.vae_scale_factor * self._whole.patch_size)

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        hidden, _, pooled, _ = self._whole.encode_prompt(
            list(texts), None, None, device=self._device, do_classifier_free_guidance=False
        )
        return {"encoder_hidden_states": hidden, "pooled_projections": pooled}

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told T sigma = t + 1."""
        typed = {name: self._typed(value) for name, value in conditioning.items()}
        output = denoiser(hidden_states=self._typed(noisy), timestep=timesteps.float() + 1, **typed)
        return cast(Tensor, output.sample)
