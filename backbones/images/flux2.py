"""FLUX.2 dev and klein (Black Forest Labs 2025, 2026): rectified flow, one language model as text.

Outside of this file latents are what the denoiser sees: 2 x 2 of the autoencoder's in one place,
normalised by the statistics of its batch norm; (B, 128, H / 16, W / 16) for H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Self, cast

import torch
from diffusers import Flux2KleinPipeline, Flux2Pipeline, Flux2Transformer2DModel
from diffusers.pipelines.flux2.pipeline_flux2 import compute_empirical_mu, format_input
from torch import Tensor, nn
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sipo.backbones.base import JOINT_ATTENTION, Conditioning, Sampler, Schedule
from sipo.backbones.flow import FlowBackbone
from sipo.backbones.images.flux import Flux
from sipo.backbones.images.patches import flat, unflat
from sipo.backbones.pipeline import PATCH, Dtypes

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin as Bits

_PROMPT = "PROMPT"  # in whose place one is put


class Flux2(Flux):
    """dev: guidance is an input, as FLUX.1-dev's."""

    family = "flux2"
    lora_targets = (*JOINT_ATTENTION, "to_qkv_mlp_proj")  # single blocks have it in one with an MLP
    pipeline_class = Flux2Pipeline
    denoiser_class = Flux2Transformer2DModel
    step_caches = False  # diffusers 0.42's first-block cache fails on its single blocks
    default_sampler = Sampler(steps=50, guidance=4.0)  # the pipelines' own defaults

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        """Three layers of the language model side by side; padding is attended to."""
        hidden, _ = self._whole.encode_prompt(list(texts), device=self._device)
        return {"encoder_hidden_states": hidden}

    def said_before(self) -> str:
        [messages] = format_input([_PROMPT], self._whole.system_message)
        return self._written(messages).partition(_PROMPT)[0]

    def _written(self, messages: object, **given: object) -> str:
        return str(self._whole.tokenizer.apply_chat_template(messages, tokenize=False, **given))

    def predict(
        self, denoiser: nn.Module, noisy: Tensor, timesteps: Tensor, conditioning: Conditioning
    ) -> Tensor:
        rows, columns = noisy.shape[-2:]
        hidden = self._typed(conditioning["encoder_hidden_states"])
        tokens = denoiser(
            hidden_states=flat(self._typed(noisy)),
            timestep=self.sigma(timesteps),
            encoder_hidden_states=hidden,
            txt_ids=_places(1, 1, hidden.shape[1]).to(hidden.device),
            img_ids=_places(rows, columns, 1).to(hidden.device),
            guidance=self._told(timesteps, conditioning),
        ).sample
        return unflat(cast(Tensor, tokens), rows, columns)

    def _mu(self, config: Schedule, steps: int, shape: Sequence[int]) -> float:
        """By the number of steps, too; BFL's fit, which diffusers has."""
        return float(compute_empirical_mu(prod(shape[1:]), steps))

    def _scaled(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents)
        return (pixel_unshuffle(latents, PATCH) - mean) / std

    def _unscaled(self, latents: Tensor) -> Tensor:
        mean, std = self._statistics(latents)
        return pixel_shuffle(latents * std + mean, PATCH)

    def _statistics(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of (1, C, 1, 1), as the pipelines take them."""
        vae = self._whole.vae
        std = torch.sqrt(vae.bn.running_var + vae.config.batch_norm_eps)
        mean, std = (values.view(1, -1, 1, 1).to(like) for values in (vae.bn.running_mean, std))
        return mean, std

    def _unpacked(self, latents: Tensor, sampler: Sampler) -> Tensor:
        """Tokens; klein's pipeline ends with the autoencoder's own latents instead."""
        if latents.ndim > 3:
            return self._scaled(latents.float())
        rows, columns = (side // self._size_step() for side in self._sides(sampler))
        return unflat(latents, rows, columns)


class Flux2Klein(Flux2):
    """Guided by asking twice, unless it was distilled to a few steps: then guidance is in it."""

    pipeline_class = Flux2KleinPipeline

    @classmethod
    def load(
        cls, path: str, denoiser_only: bool, dtype: Dtypes, quantization: Bits | None = None
    ) -> Self:
        backbone = super().load(path, denoiser_only, dtype, quantization)
        if cls.pipeline_class.load_config(path).get("is_distilled"):
            backbone.few_steps = True
            backbone.default_sampler = Sampler(steps=4, guidance=1.0)  # its model card's
        return backbone

    def said_before(self) -> str:
        messages = [{"role": "user", "content": _PROMPT}]
        given = {"add_generation_prompt": True, "enable_thinking": False}
        return self._written(messages, **given).partition(_PROMPT)[0]

    def guidance_scale(self, guidance: float) -> float:
        return 1.0 if self.few_steps else FlowBackbone.guidance_scale(self, guidance)

    def sized(self, sampler: Sampler) -> Sampler:
        """Also refuses guidance where the pipeline would leave it out."""
        if self.few_steps and sampler.guidance > 1:
            raise ValueError(
                f"--guidance {sampler.guidance:g}: {self.name!r} is distilled and takes none "
                "(is_distilled in its model_index.json); give 1, or leave it out"
            )
        return super().sized(sampler)


def _places(rows: int, columns: int, words: int) -> Tensor:
    """(tokens, 4): image, row, column and word of every token, for its rotary embedding."""
    return torch.cartesian_prod(*(torch.arange(n) for n in (1, rows, columns, words)))
