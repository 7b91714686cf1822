"""HunyuanVideo 1.5 text-to-video (Tencent 2025): rectified flow, two texts, no picture to go on.

The denoiser is one for text and for a first frame; here the latents of that frame, their mask and
the picture's embeddings are zeros, as the pipeline has them.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Self, cast

import torch
from diffusers import (
    ClassifierFreeGuidance,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
    ModelMixin,
)
from torch import Tensor, nn

from sipo.backbones.base import JOINT_ATTENTION, Conditioning, Sampler, Schedule
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.loading.pretrained import explained
from sipo.backbones.pipeline import Dtypes
from sipo.backbones.video.base import VideoBackbone
from sipo.common.quiet_libraries import quiet

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

PLAIN = {"guidance_rescale": 0.0, "use_original_formulation": False, "start": 0.0, "stop": 1.0}
"""What a guider must say for u + g (c - u) at every step."""


class HunyuanVideo(VideoBackbone, FlowBackbone):
    family = "hunyuan_video_1_5"
    lora_targets = JOINT_ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = HunyuanVideo15Pipeline
    denoiser_class = HunyuanVideo15Transformer3DModel
    fps = 24
    frame_step = 4
    even_levels = True
    default_sampler = Sampler(steps=50, guidance=6.0, frames=121)
    """The pipeline's own defaults, and the guidance of the published guider."""

    def __init__(self, name: str, denoiser: ModelMixin, schedule: Schedule) -> None:
        super().__init__(name, denoiser, schedule)
        self.channels = int(denoiser.config.out_channels)
        self.picture_width = int(denoiser.config.image_embed_dim)

    @classmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        """Raises ValueError for a guider that does more than classifier-free guidance."""
        guidance = _guidance(path)
        with quiet("diffusers.guiders", logging.ERROR):  # they are new, it says each time
            backbone = super().load(path, denoiser_only, dtype, quantization)
        backbone.default_sampler = cls.default_sampler.model_copy(update={"guidance": guidance})
        return backbone

    def guidance_scale(self, guidance: float) -> float:
        """The guider's u + g (c - u), also for g below 1."""
        return guidance

    def _native_size(self) -> tuple[int, int]:
        """That of the pipeline's aspect ratio with the area its denoiser was made for."""
        pipeline = self._whole
        wide, high = pipeline.default_aspect_ratio
        size = pipeline.video_processor.calculate_default_height_width
        height, width = size(high, wide, pipeline.target_size)
        return int(height), int(width)

    def _size_step(self) -> int:
        patch = self._whole.transformer.config.patch_size
        return int(self._whole.vae_scale_factor_spatial * patch)

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """The prompt by a language model, and what of it stands in quotes by its letters."""
        hidden, mask, glyphs, glyph_mask = self._whole.encode_prompt(
            list(texts), device=self._device, batch_size=len(texts)
        )
        return {
            "encoder_hidden_states": hidden,
            "encoder_attention_mask": mask.bool(),
            "encoder_hidden_states_2": glyphs,
            "encoder_attention_mask_2": glyph_mask.bool(),
        }

    def _decode(self, latents: Tensor) -> Tensor:
        vae = self._whole.vae
        return cast(Tensor, vae.decode(self._for_vae(latents) / vae.config.scaling_factor).sample)

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told T sigma = t + 1, in its own dtype. The pipeline has 729 tokens of no
        picture; all are masked, so that one does.
        """
        noisy = self._typed(noisy)
        first_frame = noisy.new_zeros(len(noisy), self.channels + 1, *noisy.shape[2:])
        return cast(
            Tensor,
            denoiser(
                torch.cat([noisy, first_frame], dim=1),
                timestep=(timesteps + 1).to(self.dtype),
                image_embeds=noisy.new_zeros(len(noisy), 1, self.picture_width),
                **{name: self._typed(value) for name, value in conditioning.items()},
            ).sample,
        )

    def _guidance_options(self, guidance: float) -> dict[str, object]:
        """The guider has it, not the call."""
        self._whole.guider.guidance_scale = guidance
        self._whole.guider.enable()
        return {}


def _guidance(path: str) -> float:
    """The checkpoint's own scale; 1 where its guider is off (distilled ones)."""
    what = f"--backbone {path!r}"
    with explained(what):
        config = ClassifierFreeGuidance.load_config(path, subfolder="guider")
    kind = config.get("_class_name")
    other = {
        name: config[name] for name, plain in PLAIN.items() if config.get(name, plain) != plain
    }
    if kind != "ClassifierFreeGuidance" or other:
        raise ValueError(
            f"{what}: its guider {kind} {other or ''} is no plain classifier-free guidance, with "
            f"which alone is sampled here; write a ClassifierFreeGuidance with {PLAIN} into "
            "its guider/guider_config.json"
        )
    return float(config.get("guidance_scale", 6.0)) if config.get("enabled", True) else 1.0
