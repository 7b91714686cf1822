"""A real Chroma pipeline of random weights: 16 x 24 px."""

from __future__ import annotations

from pathlib import Path

from diffusers import ChromaPipeline, ChromaTransformer2DModel, FlowMatchEulerDiscreteScheduler
from tiny import save_pipeline, tiny_vae
from tiny_text import t5


def tiny_chroma(folder: Path) -> Path:
    def pipeline() -> ChromaPipeline:
        text = t5(16)
        return ChromaPipeline(
            vae=tiny_vae(scaling_factor=0.4, shift_factor=0.1),
            text_encoder=text["encoder"],
            tokenizer=text["tokenizer"],
            transformer=_transformer(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True),
        )

    return save_pipeline(pipeline, folder, size_px=16, width_px=24)


def _transformer() -> ChromaTransformer2DModel:
    return ChromaTransformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=1,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=16,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=64,
        approximator_hidden_dim=32,
        approximator_layers=1,
    ).eval()
