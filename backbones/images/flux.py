"""FLUX.1 (Black Forest Labs 2024): rectified flow on packed latents, guidance as an input.

Outside of this file latents are (B, C, H, W); the denoiser takes tokens of 2 x 2 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from diffusers import FluxPipeline, FluxTransformer2DModel, ModelMixin
from torch import Tensor, nn

from sipo.backbones.base import JOINT_ATTENTION, Conditioning, Sampler, Schedule
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.images.patches import pack, unpack
from sipo.backbones.pipeline import PATCH

TRAINING_GUIDANCE = 1.0
"""What FLUX.1-dev is told outside of sampling, as in diffusers' LoRA training script for it."""


class Flux(FlowBackbone):
    """`guidance` is what `predict` tells the denoiser where the conditioning says nothing of it;
    `sample` tells it the sampler's.
    """

    family = "flux"
    lora_targets: ClassVar[tuple[str, ...]] = JOINT_ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = FluxPipeline
    denoiser_class = FluxTransformer2DModel
    step_caches = True
    even_levels = True
    default_sampler = Sampler(steps=28, guidance=3.5)  # the pipeline's own defaults

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        # dev does, schnell does not
        self.takes_guidance = bool(denoiser.config.get("guidance_embeds"))
        self.guidance = TRAINING_GUIDANCE
        self.few_steps = type(self) is Flux and not self.takes_guidance

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        hidden, pooled, _ = self._whole.encode_prompt(list(texts), device=self._device)
        return {"encoder_hidden_states": hidden, "pooled_projections": pooled}

    def guidance_scale(self, guidance: float) -> float:
        """It is told (dev), or has none (schnell); the pipeline asks once."""
        return 1.0

    def told_guidance(self, conditioning: Conditioning, guidance: float) -> Conditioning:
        rows = conditioning["encoder_hidden_states"]
        return {
            **conditioning,
            "guidance": rows.new_full((len(rows),), guidance, dtype=torch.float32),
        }

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        rows, columns = (side // PATCH for side in noisy.shape[-2:])
        hidden = self._typed(conditioning["encoder_hidden_states"])
        shown, places = self._tokens(noisy, conditioning)
        tokens = denoiser(
            hidden_states=shown,
            timestep=self.sigma(timesteps),
            encoder_hidden_states=hidden,
            txt_ids=hidden.new_zeros(hidden.shape[1], 3),
            img_ids=places.to(hidden),
            **self._further(timesteps, conditioning, rows * columns),
        ).sample
        return unpack(cast(Tensor, tokens)[:, : rows * columns], rows, columns)

    def _tokens(self, noisy: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor]:
        """What the denoiser is shown, that of `noisy` first, and the place of every token."""
        return pack(self._typed(noisy)), _places(*(side // PATCH for side in noisy.shape[-2:]))

    def _further(
        self, timesteps: Tensor, conditioning: Conditioning, tokens: int
    ) -> dict[str, object]:
        """What else the denoiser is told."""
        return {
            "pooled_projections": self._typed(conditioning["pooled_projections"]),
            "guidance": self._told(timesteps, conditioning),
        }

    def _told(self, timesteps: Tensor, conditioning: Conditioning) -> Tensor | None:
        """(B,) of guidance; nothing where it is no input."""
        if not self.takes_guidance:
            return None
        given = conditioning.get("guidance")
        if given is None:
            return timesteps.new_full(timesteps.shape, self.guidance, dtype=torch.float32)
        return given

    def _unpacked(self, latents: Tensor, sampler: Sampler) -> Tensor:
        rows, columns = (side // self._size_step() for side in self._sides(sampler))
        return unpack(latents, rows, columns)


def _places(rows: int, columns: int) -> Tensor:
    """(rows columns, 3): 0, row and column of every token, for its rotary embedding."""
    return torch.cartesian_prod(*(torch.arange(count) for count in (1, rows, columns)))
