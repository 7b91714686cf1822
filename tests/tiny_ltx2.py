"""A real LTX-2 pipeline of random weights: clips of a few frames of 32 px and their sound."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKLLTX2Audio,
    AutoencoderKLLTX2Video,
    FlowMatchEulerDiscreteScheduler,
    LTX2Pipeline,
    LTX2VideoTransformer3DModel,
)
from diffusers.pipelines.ltx2 import LTX2TextConnectors
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
from transformers import (
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    GemmaTokenizer,
)

from sipo.backbones.registry import SAMPLER_FILE

WIDTH, LTX2_PX = 16, 32
PIECES = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz "]


def tiny_ltx2(folder: Path, seed: int = 0, **transformer: Any) -> Path:
    """`transformer`: of its configuration what is to be otherwise."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = LTX2Pipeline(
            scheduler=ltx2_scheduler(),
            vae=ltx2_vae(),
            audio_vae=_audio_vae(),
            text_encoder=_text_encoder(),
            tokenizer=GemmaTokenizer(vocab={piece: i for i, piece in enumerate(PIECES)}, merges=[]),
            connectors=_connectors(),
            transformer=_transformer(**transformer),
            vocoder=_vocoder(),
        )
    pipeline.save_pretrained(folder)
    (folder / SAMPLER_FILE).write_text(
        f'{{"steps": 2, "guidance": 2.0, "height": {LTX2_PX}, "width": {LTX2_PX}, "frames": 9}}'
    )
    return folder


def ltx2_scheduler() -> FlowMatchEulerDiscreteScheduler:
    """The pipeline's line through two sizes, and an end at .1."""
    return FlowMatchEulerDiscreteScheduler(
        use_dynamic_shifting=True,
        base_shift=0.95,
        max_shift=2.05,
        base_image_seq_len=1024,
        max_image_seq_len=4096,
        shift_terminal=0.1,
    )


def _text_encoder() -> Gemma3ForConditionalGeneration:
    text = {"vocab_size": len(PIECES) + 2, "hidden_size": WIDTH, "intermediate_size": 32}
    text |= {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1}
    sight = {"hidden_size": WIDTH, "intermediate_size": 16, "num_hidden_layers": 1}
    sight |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}
    config = Gemma3Config(
        text_config=text | {"head_dim": 8},
        vision_config=sight,
        mm_tokens_per_image=4,
        image_token_index=len(PIECES) + 1,
        boi_token_index=len(PIECES),
        eoi_token_index=len(PIECES),
    )
    return Gemma3ForConditionalGeneration(config).eval()


def _connectors() -> LTX2TextConnectors:
    sides = {
        f"{side}_connector_{name}": value
        for side in ("video", "audio")
        for name, value in {
            "num_attention_heads": 2,
            "attention_head_dim": 8,
            "num_layers": 1,
            "num_learnable_registers": 8,
        }.items()
    }
    return LTX2TextConnectors(
        caption_channels=WIDTH, text_proj_in_factor=3, rope_double_precision=False, **sides
    ).eval()


def ltx2_vae(timestep_conditioning: bool = False) -> AutoencoderKLLTX2Video:
    """A latent is 2 frames of 8 x 8 pixels."""
    vae = AutoencoderKLLTX2Video(
        latent_channels=4,
        block_out_channels=(8,),
        decoder_block_out_channels=(8,),
        layers_per_block=(1,),
        decoder_layers_per_block=(1, 1),
        spatio_temporal_scaling=(True,),
        decoder_spatio_temporal_scaling=(True,),
        decoder_inject_noise=(False, False),
        down_block_types=("LTX2VideoDownBlock3D",),
        downsample_type=("spatiotemporal",),
        upsample_type=("spatiotemporal",),
        upsample_residual=(False,),
        upsample_factor=(1,),
        patch_size=4,
        patch_size_t=1,
        encoder_causal=True,
        decoder_causal=False,
        timestep_conditioning=timestep_conditioning,
    ).eval()
    return _with_statistics(vae)


def _audio_vae() -> AutoencoderKLLTX2Audio:
    audio_vae = AutoencoderKLLTX2Audio(
        base_channels=4,
        ch_mult=(1,),
        num_res_blocks=1,
        resolution=32,
        latent_channels=2,
        mel_bins=8,
    ).eval()
    return _with_statistics(audio_vae)


def _with_statistics(vae: Any) -> Any:
    """Of the latents: else they would be 0 and 1, and a lost one would not show."""
    vae.latents_mean.normal_()
    vae.latents_std.uniform_(0.5, 2)
    return vae


def _transformer(**other: Any) -> LTX2VideoTransformer3DModel:
    given = {
        "in_channels": 4,
        "out_channels": 4,
        "num_attention_heads": 2,
        "attention_head_dim": 8,
        "cross_attention_dim": 16,
        "vae_scale_factors": (2, 8, 8),
        "audio_in_channels": 4,
        "audio_out_channels": 4,
        "audio_num_attention_heads": 2,
        "audio_attention_head_dim": 4,
        "audio_cross_attention_dim": 8,
        "num_layers": 2,
        "caption_channels": WIDTH,
        "rope_double_precision": False,
    }
    return LTX2VideoTransformer3DModel(**(given | other)).eval()


def _vocoder() -> LTX2Vocoder:
    return LTX2Vocoder(
        in_channels=16,
        hidden_channels=32,
        upsample_kernel_sizes=[4, 4],
        upsample_factors=[2, 2],
        resnet_kernel_sizes=[3],
        resnet_dilations=[[1, 3, 5]],
        output_sampling_rate=16000,
    ).eval()
