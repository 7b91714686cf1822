"""Z-Image (Tongyi-MAI 2025): rectified flow, one stream of text and image tokens."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import ZImagePipeline, ZImageTransformer2DModel
from torch import Tensor, nn
from torch.nn.functional import pad

from sipo.backbones.base import ATTENTION, Conditioning, Sampler
from sipo.backbones.flow import FlowBackbone

TEXT_TOKENS, SIDE_PX = 512, 1024  # the pipeline's defaults


class ZImage(FlowBackbone):
    family = "z_image"
    lora_targets = ATTENTION
    denoiser_folder = "transformer"
    pipeline_class = ZImagePipeline
    denoiser_class = ZImageTransformer2DModel
    default_sampler = Sampler(steps=50, guidance=5.0)  # the pipeline's own defaults
    even_levels = True

    def guidance_scale(self, guidance: float) -> float:
        """The pipeline's c + g (c - u), for g above 0."""
        return 1 + guidance

    def _native_size(self) -> tuple[int, int]:
        return SIDE_PX, SIDE_PX

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """Captions have lengths of their own: padded with zeros here, cut again in `predict`."""
        captions, _ = self._whole.encode_prompt(
            list(texts),
            device=self._device,
            do_classifier_free_guidance=False,
            max_sequence_length=TEXT_TOKENS,
        )
        lengths = torch.tensor([len(caption) for caption in captions], device=self._device)
        return {
            "cap_feats": torch.stack([pad(c, (0, 0, 0, TEXT_TOKENS - len(c))) for c in captions]),
            "cap_mask": torch.arange(TEXT_TOKENS, device=self._device) < lengths[:, None],
        }

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        """The denoiser is told 1 - sigma and answers x_0 - eps; it takes (C, F, H, W), F = 1."""
        captions, steps = self._typed(conditioning["cap_feats"]), self.num_train_timesteps
        rows = denoiser(
            list(self._typed(noisy).unsqueeze(2)),
            (steps - 1 - timesteps.float()) / steps,
            [c[mask] for c, mask in zip(captions, conditioning["cap_mask"], strict=True)],
        ).sample
        return -torch.stack(rows).squeeze(2)
