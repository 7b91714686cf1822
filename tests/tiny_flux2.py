"""Real FLUX.2 pipelines of random weights: dev and klein, 16 x 24 px."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffusers import (
    AutoencoderKLFlux2,
    FlowMatchEulerDiscreteScheduler,
    Flux2KleinPipeline,
    Flux2Pipeline,
    Flux2Transformer2DModel,
)
from tiny import save_pipeline
from tiny_text import mistral3, qwen3
from transformers import Qwen3ForCausalLM

WIDTH = 8


def tiny_flux2(folder: Path) -> Path:
    def pipeline() -> Flux2Pipeline:
        return Flux2Pipeline(**_parts(mistral3(WIDTH, layers=30), guidance_embeds=True))

    return save_pipeline(pipeline, folder, size_px=16, width_px=24)


def tiny_flux2_klein(folder: Path, is_distilled: bool = False) -> Path:
    def pipeline() -> Flux2KleinPipeline:
        text = qwen3(WIDTH, Qwen3ForCausalLM, layers=27)
        parts = _parts(text, guidance_embeds=False)
        return Flux2KleinPipeline(**parts, is_distilled=is_distilled)

    return save_pipeline(pipeline, folder, size_px=16, width_px=24)


def _parts(text: dict[str, Any], guidance_embeds: bool) -> dict[str, Any]:
    return {
        "vae": _vae(),
        "text_encoder": text["encoder"],
        "tokenizer": text["tokenizer"],
        "transformer": _transformer(guidance_embeds),
        "scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
    }


def _vae() -> AutoencoderKLFlux2:
    """Halves the sides; its latents' statistics are far from 0 and 1."""
    channels = (16, 32)
    vae = AutoencoderKLFlux2(
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        block_out_channels=channels,
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=16,
    ).eval()
    vae.bn.running_mean.uniform_(-0.5, 0.5)
    vae.bn.running_var.uniform_(0.5, 2)
    return vae


def _transformer(guidance_embeds: bool) -> Flux2Transformer2DModel:
    return Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=3 * WIDTH,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=guidance_embeds,
    ).eval()
