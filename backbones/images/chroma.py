"""Chroma (lodestones 2025): FLUX's architecture with T5 alone, no guidance as an input, a mask."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ChromaPipeline, ChromaTransformer2DModel
from torch import Tensor

from sipo.backbones.base import Conditioning, Sampler
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.images.flux import Flux


class Chroma(Flux):
    family = "chroma"
    pipeline_class = ChromaPipeline
    denoiser_class = ChromaTransformer2DModel
    step_caches = False
    default_sampler = Sampler(steps=35, guidance=5.0)  # the pipeline's own defaults

    def guidance_scale(self, guidance: float) -> float:
        """Asked twice, unlike FLUX."""
        return FlowBackbone.guidance_scale(self, guidance)

    def told_guidance(self, conditioning: Conditioning, guidance: float) -> Conditioning:
        return conditioning

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """The mask leaves one token of padding, as the pipeline's."""
        hidden, _, mask, *_ = self._whole.encode_prompt(
            list(texts), device=self._device, do_classifier_free_guidance=False
        )
        return {"encoder_hidden_states": hidden, "attention_mask": mask}

    def _further(
        self, timesteps: Tensor, conditioning: Conditioning, tokens: int
    ) -> dict[str, object]:
        """The mask of text, then image: no token of an image is left out."""
        text = self._typed(conditioning["attention_mask"])
        return {"attention_mask": torch.cat([text, text.new_ones(len(text), tokens)], dim=1)}
