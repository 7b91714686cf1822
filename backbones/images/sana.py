"""Sana 1.0 and 1.5 (Xie et al. 2024): rectified flow, linear attention, 32 pixels a latent."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import cast

import torch
from diffusers import ModelMixin, SanaPipeline, SanaTransformer2DModel
from torch import Tensor, nn

from sipo.backbones.base import ATTENTION, Conditioning, Sampler, Schedule
from sipo.backbones.flow import FlowBackbone

INSTRUCTION = (
    "Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions "
    "suitable for image generation. Evaluate the level of detail in the user prompt:",
    "- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, "
    "and spatial relationships to create vivid and concrete scenes.",
    "- If the prompt is already detailed, refine and enhance the existing details slightly without "
    "overcomplicating.",
    "Here are examples of how to transform or refine prompts:",
    "- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round "
    "shape, sleeping peacefully on a warm sunny windowsill, surrounded by pots of blooming red "
    "flowers.",
    "- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, "
    "featuring glowing street lamps, a diverse crowd of people in colorful clothing, and a "
    "double-decker bus passing by towering glass skyscrapers.",
    "Please generate only the enhanced description for the prompt below and avoid including any "
    "additional commentary or evaluations:",
    "User Prompt: ",
)
"""The default of `complex_human_instruction` in SanaPipeline.__call__, diffusers 0.42."""


class Sana(FlowBackbone):
    family = "sana"
    lora_targets = ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = SanaPipeline
    denoiser_class = SanaTransformer2DModel
    default_sampler = Sampler(steps=20, guidance=4.5)  # the pipeline's own defaults

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        self.timestep_scale = float(denoiser.config.timestep_scale)
        self.channels = int(denoiser.config.in_channels)

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """A prompt follows the pipeline's instruction to its language model; the empty one does
        not, as where the pipeline guides with it.
        """
        rows = [
            self._whole.encode_prompt(
                text,
                do_classifier_free_guidance=False,
                device=self._device,
                complex_human_instruction=list(INSTRUCTION) if text else None,
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

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
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
