"""Real pipelines of random weights: Qwen-Image of 16 x 24 px, 2.1 of 32 x 64."""

from __future__ import annotations

from pathlib import Path

from diffusers import (
    AutoencoderKLQwenImage,
    AutoencoderKLQwenImage21,
    FlowMatchEulerDiscreteScheduler,
    QwenImage21Pipeline,
    QwenImage21Transformer2DModel,
    QwenImagePipeline,
    QwenImageTransformer2DModel,
)
from tiny import save_pipeline
from tiny_text import qwen2_vl, qwen3_vl

WIDTH = 16


def tiny_qwen_image(folder: Path) -> Path:
    def pipeline() -> QwenImagePipeline:
        text = qwen2_vl(WIDTH)
        return QwenImagePipeline(
            vae=AutoencoderKLQwenImage(
                base_dim=8,
                z_dim=4,
                dim_mult=[1, 2],
                num_res_blocks=1,
                temperal_downsample=[True],
                latents_mean=[0.1, -0.2, 0.3, -0.4],
                latents_std=[0.5, 1.5, 2.0, 0.8],
            ).eval(),
            text_encoder=text["encoder"],
            tokenizer=text["tokenizer"],
            transformer=_transformer(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        )

    return save_pipeline(pipeline, folder, size_px=16, width_px=24)


def tiny_qwen_image_21(folder: Path) -> Path:
    def pipeline() -> QwenImage21Pipeline:
        text = qwen3_vl(WIDTH)
        return QwenImage21Pipeline(
            vae=AutoencoderKLQwenImage21(
                base_dim=4,
                decoder_base_dim=4,
                z_dim=4,
                dim_mult=[1, 1, 2, 2, 2],
                num_res_blocks=1,
                latents_mean=[0.1, -0.2, 0.3, -0.4],
                latents_std=[0.5, 1.5, 2.0, 0.8],
            ).eval(),
            text_encoder=text["encoder"],
            processor=text["processor"],
            transformer=_transformer_21(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        )

    return save_pipeline(pipeline, folder, size_px=32, width_px=64)


def _transformer() -> QwenImageTransformer2DModel:
    return QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=WIDTH,
        axes_dims_rope=(4, 6, 6),
    ).eval()


def _transformer_21() -> QwenImage21Transformer2DModel:
    """Its gates are wider than drawn, so that a small LoRA shows."""
    transformer = QwenImage21Transformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        context_in_dim=WIDTH,
        axes_dims_rope=(4, 6, 6),
    ).eval()
    transformer.modulation[1].weight.data *= 20
    return transformer
