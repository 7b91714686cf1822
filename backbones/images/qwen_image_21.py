"""Qwen-Image 2.1 (Qwen team 2026): one stream of text and latents, which attend to what is before.

Where the image's tokens are follows from the length of the text, padding included: texts are not
padded in sampling and training, and rows of several lengths are asked one length at a time. So a
candidate does not depend on its batch, as it would in a call of the pipeline with many prompts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from diffusers import DiffusionPipeline, QwenImage21Pipeline, QwenImage21Transformer2DModel
from torch import Tensor, distributed, nn
from torch.nn.functional import pad

from sipo.backbones.base import ATTENTION, Backbone, Conditioning, Sampler
from sipo.backbones.images.patches import flat, unflat
from sipo.backbones.images.qwen_image import TEXT_TOKENS, QwenImage, padded

SIDE_PX = 1024  # the pipeline's output_resolution
TOKENS_OF_A_SLOT = 4  # 2 x 2 of the image's tokens have one place in `img_mask`


class QwenImage21(QwenImage):
    family = "qwen_image_21"
    lora_targets = ATTENTION
    pipeline_class = QwenImage21Pipeline
    denoiser_class = QwenImage21Transformer2DModel
    step_caches = False
    default_sampler = Sampler(steps=40, guidance=1.0)  # the pipeline's own defaults

    def _native_size(self) -> tuple[int, int]:
        return SIDE_PX, SIDE_PX

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """Raises ValueError for a text that is longer than what is kept: its pipeline reads all."""
        hidden, mask, _ = self._whole.encode_prompt(list(texts), device=self._device)
        if hidden.shape[1] > TEXT_TOKENS:
            longest = texts[0 if mask is None else int(mask.sum(1).argmax())]
            raise ValueError(
                f"the prompt {longest[:60]!r} has {hidden.shape[1]} tokens with its template, and "
                f"{TEXT_TOKENS} are kept for {self.name!r}; shorten it"
            )
        return padded(hidden, mask)

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        text, mask = (conditioning[f"encoder_hidden_states{end}"] for end in ("", "_mask"))
        lengths = mask.sum(1)
        if len(several := sorted(set(lengths.tolist()))) > 1 and _of_several_processes():
            raise ValueError(
                f"prompts of different lengths in one batch of {self.name!r} would leave processes "
                "waiting for one another; give --train_batch_size 1 and the rest by "
                "--gradient_accumulation_steps"
            )
        made, places = [], []
        for length in several:
            at = (lengths == length).nonzero()[:, 0]
            made.append(self._of_length(denoiser, noisy[at], timesteps[at], text[at, :length]))
            places.append(at)
        return torch.cat(made)[torch.cat(places).argsort()]

    def _of_length(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, text: Tensor
    ) -> Tensor:
        rows, columns = noisy.shape[-2:]
        words = torch.zeros(text.shape[:2], dtype=torch.bool, device=text.device)
        tokens = denoiser(
            hidden_states=flat(self._typed(noisy)),
            timestep=self.sigma(timesteps),
            encoder_hidden_states=self._typed(text),
            img_shapes=[[(1, rows, columns)]] * len(noisy),
            img_mask=pad(words, (0, rows * columns // TOKENS_OF_A_SLOT), value=True),
        ).sample
        return unflat(cast(Tensor, tokens)[:, -rows * columns :], rows, columns)

    def guided(self, without: Tensor, with_prompt: Tensor, scale: float) -> Tensor:
        """Its pipeline leaves the lengths as they come."""
        return Backbone.guided(self, without, with_prompt, scale)

    def _sample_latents(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler, **more: object
    ) -> Tensor:
        """A call a text, with all its seeds."""
        latents: dict[int, Tensor] = {}
        for text in dict.fromkeys(texts):
            places = [place for place, other in enumerate(texts) if other == text]
            own = [seeds[place] for place in places]
            made = super()._sample_latents([text] * len(own), own, sampler, **more)
            latents |= zip(places, made, strict=True)
        return torch.stack([latents[place] for place in range(len(texts))])

    def _unpacked(self, latents: Tensor, sampler: Sampler) -> Tensor:
        scale = self._whole.vae_scale_factor
        return unflat(latents, *(side // scale for side in self._sides(sampler)))

    @classmethod
    def from_pipeline(cls, name: str, pipeline: DiffusionPipeline) -> QwenImage21:
        """A checkpoint may say the noise levels, and so the steps, that suit it."""
        backbone = super().from_pipeline(name, pipeline)
        if levels := pipeline.config.get("sample_sigmas"):
            backbone.default_sampler = Sampler(steps=len(levels), guidance=1.0)
        return backbone

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        """The levels, too: the checkpoint's own are for their number of steps alone, and its
        pipeline would take them for every number."""
        return {**super()._call_options(sampler), "sigmas": self._unshifted(sampler.steps)}

    def _unshifted(self, steps: int) -> list[float]:
        own = self._whole.config.get("sample_sigmas") or ()
        return list(own) if len(own) == steps else super()._unshifted(steps)

    def _sequence_length(self, shape: Sequence[int]) -> int:
        return shape[-2] * shape[-1]

    def encode_images(self, pixels: Tensor) -> Tensor:
        """The autoencoder sees opacity, too: all of it."""
        return super().encode_images(pad(pixels, (0, 0, 0, 0, 0, 1), value=1.0))

    def _pixels(self, latents: Tensor) -> Tensor:
        """On white, as its pipeline shows transparent pictures to the language model."""
        pixels = super()._pixels(latents)
        opacity = (pixels[:, 3:] + 1) / 2
        return opacity * pixels[:, :3] + (1 - opacity)


def _of_several_processes() -> bool:
    """Of one training, which must ask their denoisers equally often."""
    together = distributed.is_available() and distributed.is_initialized()
    return together and distributed.get_world_size() > 1
