"""A real HunyuanVideo 1.5 pipeline of random weights: clips of a few frames of 16 px.

Its pipeline reads 1000 + 256 tokens of any prompt, which takes most of the time; here 24 + 16, but
where a test puts `WHOLE` back.
"""

from __future__ import annotations

from functools import wraps
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLHunyuanVideo15,
    ClassifierFreeGuidance,
    FlowMatchEulerDiscreteScheduler,
    HunyuanVideo15Pipeline,
    HunyuanVideo15Transformer3DModel,
)
from tiny import byte_letters
from transformers import (
    ByT5Tokenizer,
    Qwen2_5_VLTextConfig,
    Qwen2_5_VLTextModel,
    Qwen2Tokenizer,
    T5Config,
    T5EncoderModel,
)

from sipo.backbones.registry import SAMPLER_FILE

WIDTH, HUNYUAN_PX = 16, 16
TEMPLATE = '{{ "s" * 108 }}{{ messages[-1].content }}'
"""The pipeline cuts 108 tokens, which are the template's before the prompt."""
WHOLE = HunyuanVideo15Pipeline.__init__


@wraps(WHOLE)
def _short(self: Any, *args: Any, **given: Any) -> None:
    WHOLE(self, *args, **given)
    self.tokenizer_max_length, self.tokenizer_2_max_length = 24, 16
    self.vision_num_semantic_tokens = 3


HunyuanVideo15Pipeline.__init__ = _short


def tiny_hunyuan_video(folder: Path, seed: int = 0, **guider: Any) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = HunyuanVideo15Pipeline(
            text_encoder=_language_model(),
            tokenizer=_tokenizer(),
            text_encoder_2=_letters_encoder(),
            tokenizer_2=ByT5Tokenizer(),
            transformer=_transformer(),
            vae=_vae(),
            scheduler=FlowMatchEulerDiscreteScheduler(shift=5.0),  # as published for 480p
            guider=ClassifierFreeGuidance(**{"guidance_scale": 6.0, **guider}),
        )
    pipeline.save_pretrained(folder)
    side = HUNYUAN_PX
    (folder / SAMPLER_FILE).write_text(
        f'{{"steps": 2, "guidance": 2.0, "height": {side}, "width": {side}, "frames": 5}}'
    )
    return folder


def _language_model() -> Qwen2_5_VLTextModel:
    config = Qwen2_5_VLTextConfig(
        vocab_size=257,
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        num_key_value_heads=1,
        bos_token_id=None,
        eos_token_id=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1e6, "mrope_section": [2, 1, 1]},
    )
    return Qwen2_5_VLTextModel(config).eval()


def _tokenizer() -> Qwen2Tokenizer:
    vocabulary = {piece: i for i, piece in enumerate(["<|endoftext|>", *byte_letters()])}
    return Qwen2Tokenizer(vocab=vocabulary, merges=[], chat_template=TEMPLATE)


def _letters_encoder() -> T5EncoderModel:
    config = T5Config(vocab_size=384, d_model=WIDTH, d_kv=8, d_ff=32, num_layers=1, num_heads=2)
    return T5EncoderModel(config).eval()


def _transformer() -> HunyuanVideo15Transformer3DModel:
    return HunyuanVideo15Transformer3DModel(
        in_channels=9,
        out_channels=4,
        num_attention_heads=2,
        attention_head_dim=8,
        num_layers=2,
        num_refiner_layers=1,
        mlp_ratio=2.0,
        text_embed_dim=WIDTH,
        text_embed_2_dim=WIDTH,
        image_embed_dim=8,
        rope_axes_dim=(2, 2, 4),
        target_size=HUNYUAN_PX,
        task_type="t2v",
    ).eval()


def _vae() -> AutoencoderKLHunyuanVideo15:
    return AutoencoderKLHunyuanVideo15(
        latent_channels=4,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        spatial_compression_ratio=4,
        temporal_compression_ratio=4,
    ).eval()
