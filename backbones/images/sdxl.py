"""Stable Diffusion XL (Podell et al. 2023): two text encoders, and the size of the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self, cast

import torch
from diffusers import DiffusionPipeline, ModelMixin, StableDiffusionXLPipeline
from torch import Tensor, nn

from sipo.backbones.base import Conditioning, Sampler, Schedule
from sipo.backbones.images.stable_diffusion import StableDiffusion

LATENT_PX = 8  # pixels a latent of every SDXL autoencoder


class StableDiffusionXL(StableDiffusion):
    family = "stable_diffusion_xl"
    pipeline_class = StableDiffusionXLPipeline
    default_sampler = Sampler(steps=50, guidance=5.0)  # the pipeline's own defaults
    pipeline_options = {"add_watermarker": False}  # noqa: RUF012

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        """Raises ValueError for the EDM schedule (Playground 2.5), which is another family."""
        if "sigma_data" in schedule:
            raise ValueError(
                f"--backbone {name!r} is an SDXL with the EDM schedule, which has no backbone file "
                "yet; give a checkpoint that predicts epsilon or v"
            )
        super().__init__(name, denoiser, schedule)

    @classmethod
    def from_pipeline(cls, name: str, pipeline: DiffusionPipeline) -> Self:
        if pipeline.vae.dtype == torch.float16 and pipeline.vae.config.force_upcast:
            pipeline.vae.to(torch.float32)  # it overflows in float16
        return super().from_pipeline(name, pipeline)

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """The empty prompt is zeros where the pipeline guides with zeros."""
        hidden, _, pooled, _ = self._whole.encode_prompt(
            list(texts), device=self._device, do_classifier_free_guidance=False
        )
        if self._whole.config.force_zeros_for_empty_prompt:
            empty = torch.tensor([not text for text in texts], device=hidden.device)
            hidden[empty], pooled[empty] = 0, 0
        return {"encoder_hidden_states": hidden, "text_embeds": pooled}

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The image counts as uncropped and of its own size, as the pipeline takes it."""
        height, width = (LATENT_PX * side for side in noisy.shape[-2:])
        sizes = noisy.new_tensor([height, width, 0, 0, height, width])
        added = {
            "text_embeds": self._typed(conditioning["text_embeds"]),
            "time_ids": self._typed(sizes).expand(len(noisy), -1),
        }
        hidden = self._typed(conditioning["encoder_hidden_states"])
        output = denoiser(self._typed(noisy), timesteps, hidden, added_cond_kwargs=added)
        return cast(Tensor, output.sample)
