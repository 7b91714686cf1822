"""Qwen-Image (Wu et al. 2025): rectified flow on packed latents, text by a vision-language model.

Outside of this file latents are (B, C, H, W), normalised by channel; the autoencoder is one of
clips and takes them as clips of one frame, the denoiser takes tokens of 2 x 2 of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from diffusers import QwenImagePipeline, QwenImageTransformer2DModel
from torch import Tensor, nn
from torch.nn.functional import pad

from sipo.backbones.base import JOINT_ATTENTION, Conditioning, Sampler
from sipo.backbones.channel_statistics import channel_statistics
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.images.patches import pack, unpack
from sipo.backbones.pipeline import PATCH

TEXT_TOKENS = 512  # the pipeline's call; its encode_prompt says 1024
EMPTY = " "
"""What the pipeline's documentation guides with where nothing is to be avoided."""


class QwenImage(FlowBackbone):
    family = "qwen_image"
    lora_targets: ClassVar[tuple[str, ...]] = JOINT_ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = QwenImagePipeline
    denoiser_class = QwenImageTransformer2DModel
    step_caches = True
    even_levels = True
    default_sampler = Sampler(steps=50, guidance=4.0)  # the pipeline's own defaults

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """Padded here, cut again to the longest of a batch in `predict`."""
        hidden, mask = self._whole.encode_prompt(
            [text or EMPTY for text in texts],
            device=self._device,
            max_sequence_length=TEXT_TOKENS,
        )
        return padded(hidden, mask)

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        rows, columns = (side // PATCH for side in noisy.shape[-2:])
        text, mask = without_padding(conditioning)
        tokens = denoiser(
            hidden_states=pack(self._typed(noisy)),
            timestep=self.sigma(timesteps),
            encoder_hidden_states=self._typed(text),
            encoder_hidden_states_mask=mask,
            img_shapes=[[(1, rows, columns)]] * len(noisy),
        ).sample
        return unpack(cast(Tensor, tokens), rows, columns)

    def guided(self, without: Tensor, with_prompt: Tensor, scale: float) -> Tensor:
        """Every token as long as it is with the prompt, as in the pipeline's loop."""
        rows, columns = (side // PATCH for side in with_prompt.shape[-2:])
        mixed = pack(super().guided(without, with_prompt, scale))
        length = pack(with_prompt).norm(dim=-1, keepdim=True)
        return unpack(mixed * (length / mixed.norm(dim=-1, keepdim=True)), rows, columns)

    def _guidance_options(self, guidance: float) -> dict[str, object]:
        return {"true_cfg_scale": guidance}

    def _sample_latents(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler, **more: object
    ) -> Tensor:
        """Guided where there is a prompt to guide away from."""
        if self.guidance_scale(sampler.guidance) != 1:
            more["negative_prompt"] = [EMPTY] * len(texts)
        return super()._sample_latents(texts, seeds, sampler, **more)

    def _unpacked(self, latents: Tensor, sampler: Sampler) -> Tensor:
        rows, columns = (side // self._size_step() for side in self._sides(sampler))
        return unpack(latents, rows, columns)

    def encode_images(self, pixels: Tensor) -> Tensor:
        return super().encode_images(pixels.unsqueeze(2)).squeeze(2)

    def _pixels(self, latents: Tensor) -> Tensor:
        return super()._pixels(latents.unsqueeze(2)).squeeze(2)

    def _scaled(self, latents: Tensor) -> Tensor:
        mean, std = channel_statistics(self._whole.vae, latents.device)
        return (latents - mean) / std

    def _unscaled(self, latents: Tensor) -> Tensor:
        mean, std = channel_statistics(self._whole.vae, latents.device)
        # Divided by the inverse, as the pipeline does: the same bits.
        return latents / (1 / std) + mean


def padded(hidden: Tensor, mask: Tensor | None) -> Conditioning:
    """Rows (B, N, C) of at most TEXT_TOKENS with zeros behind; all are whole without a mask."""
    if mask is None:
        mask = hidden.new_ones(hidden.shape[:2])
    more = TEXT_TOKENS - hidden.shape[1]
    return {
        "encoder_hidden_states": pad(hidden, (0, 0, 0, more)),
        "encoder_hidden_states_mask": pad(mask.bool(), (0, more)),
    }


def without_padding(conditioning: Conditioning) -> tuple[Tensor, Tensor | None]:
    """Text and mask (B, N) as long as the longest of the batch; no mask where all are as long,
    with which attention is slower. What has no mask is whole.
    """
    text, mask = (
        conditioning.get(name) for name in ("encoder_hidden_states", "encoder_hidden_states_mask")
    )
    assert text is not None
    if mask is None:
        return text, None
    mask = mask[:, : int(mask.sum(1).max())]
    return text[:, : mask.shape[1]], None if mask.all() else mask
