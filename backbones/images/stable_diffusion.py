"""Stable Diffusion 1.x and 2.x: UNet2DConditionModel, epsilon or v prediction."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm
from typing import cast

import torch
from diffusers import DDPMScheduler, ModelMixin, StableDiffusionPipeline, UNet2DConditionModel
from torch import Tensor, nn

from sipo.backbones.base import ATTENTION, Conditioning, Prediction, Sampler, Schedule
from sipo.backbones.pipeline import PipelineBackbone


class StableDiffusion(PipelineBackbone):
    family = "stable_diffusion"
    lora_targets = ATTENTION
    denoiser_folder = "unet"
    pipeline_class = StableDiffusionPipeline
    denoiser_class = UNet2DConditionModel
    default_sampler = Sampler(steps=50, guidance=7.5)  # the pipeline's own defaults
    pipeline_options = {"safety_checker": None, "requires_safety_checker": False}  # noqa: RUF012

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        self.schedule = DDPMScheduler.from_config(schedule)
        config = self.schedule.config
        self.prediction = cast(Prediction, config.prediction_type)
        self.num_train_timesteps = config.num_train_timesteps

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        embeddings, _ = self._whole.encode_prompt(
            list(texts), self._device, 1, do_classifier_free_guidance=False
        )
        return {"encoder_hidden_states": embeddings}

    def _native_size(self) -> tuple[int, int]:
        side, scale = self._whole.unet.config.sample_size, self._whole.vae_scale_factor
        height, width = (side, side) if isinstance(side, int) else side
        return height * scale, width * scale

    def _size_step(self) -> int:
        """8 is what the pipelines ask, whatever the autoencoder."""
        return lcm(8, self._whole.vae_scale_factor)

    def add_noise(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        return cast(Tensor, self.schedule.add_noise(latents, noise, timesteps))

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        hidden = self._typed(conditioning["encoder_hidden_states"])
        return cast(Tensor, denoiser(self._typed(noisy), timesteps, hidden).sample)

    def target(self, latents: Tensor, noise: Tensor, timesteps: Tensor) -> Tensor:
        if self.prediction == "epsilon":
            return noise
        if self.prediction == "v_prediction":
            return cast(Tensor, self.schedule.get_velocity(latents, noise, timesteps))
        return latents

    def snr(self, timesteps: Tensor) -> Tensor:
        alphas = self.schedule.alphas_cumprod.to(timesteps.device, torch.float64)[timesteps]
        return cast(Tensor, alphas / (1 - alphas))
