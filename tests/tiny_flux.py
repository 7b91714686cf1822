"""A real FLUX pipeline of random weights, with guidance as an input, and one of FLUX.1 Kontext:
16 x 24 px."""

from __future__ import annotations

from pathlib import Path

from diffusers import (
    DiffusionPipeline,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
)
from tiny import WIDTH, clip_config, clip_tokenizer, save_pipeline, tiny_vae
from tiny_text import t5
from transformers import CLIPTextModel


def tiny_flux(folder: Path) -> Path:
    return _tiny(folder, FluxPipeline)


def tiny_flux_kontext(folder: Path) -> Path:
    return _tiny(folder, FluxKontextPipeline)


def _tiny(folder: Path, kind: type[DiffusionPipeline]) -> Path:
    def pipeline() -> DiffusionPipeline:
        text = t5(16)
        return kind(
            vae=tiny_vae(scaling_factor=0.4, shift_factor=0.1),
            text_encoder=CLIPTextModel(clip_config()).eval(),
            tokenizer=clip_tokenizer(folder / "source"),
            text_encoder_2=text["encoder"],
            tokenizer_2=text["tokenizer"],
            transformer=_transformer(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        )

    return save_pipeline(pipeline, folder, size_px=16, width_px=24)


def _transformer() -> FluxTransformer2DModel:
    return FluxTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        pooled_projection_dim=WIDTH,
        guidance_embeds=True,
        axes_dims_rope=(4, 4, 8),
    ).eval()
