"""The published architectures, as far as they differ from diffusers' defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEDULE = {"num_train_timesteps": 1000}
"""Enough of a scheduler's configuration to build a backbone."""


@dataclass(frozen=True, eq=False)
class Model:
    """`config` is what the published transformer/ or unet/config.json says beside the defaults.

    `tokens` go through the denoiser's stream for one image or clip (text included where it is in
    the stream) at the size the checkpoint is made for; of a UNet, those of its first level.
    `latents` and `prompt` are what it is asked with, one row; `before` has the latents' size.
    """

    name: str
    pipeline: str
    config: dict[str, Any]
    tokens: int
    source: str
    latents: tuple[int, ...]
    prompt: dict[str, tuple[int, ...]]


SDXL_BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D")
MODELS = [
    Model(
        "SD 1.5",
        "StableDiffusionPipeline",
        {"cross_attention_dim": 768},
        tokens=64**2,
        source="stable-diffusion-v1-5/stable-diffusion-v1-5",
        latents=(4, 64, 64),
        prompt={"encoder_hidden_states": (77, 768)},
    ),
    Model(
        "SDXL 1.0",
        "StableDiffusionXLPipeline",
        {
            "block_out_channels": (320, 640, 1280),
            "down_block_types": SDXL_BLOCKS,
            "up_block_types": tuple(name.replace("Down", "Up") for name in SDXL_BLOCKS[::-1]),
            "transformer_layers_per_block": (1, 2, 10),
            "attention_head_dim": (5, 10, 20),
            "cross_attention_dim": 2048,
            "use_linear_projection": True,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 256,
            "projection_class_embeddings_input_dim": 2816,
        },
        tokens=128**2,
        source="stabilityai/stable-diffusion-xl-base-1.0",
        latents=(4, 128, 128),
        prompt={"encoder_hidden_states": (77, 2048), "text_embeds": (1280,)},
    ),
    Model(
        "SD 3.5 medium",
        "StableDiffusion3Pipeline",
        {
            "num_layers": 24,
            "num_attention_heads": 24,
            "caption_projection_dim": 1536,
            "pos_embed_max_size": 384,
            "dual_attention_layers": tuple(range(13)),
            "qk_norm": "rms_norm",
        },
        tokens=64**2 + 77 + 256,
        source="stabilityai/stable-diffusion-3.5-medium",
        latents=(16, 128, 128),
        prompt={"encoder_hidden_states": (333, 4096), "pooled_projections": (2048,)},
    ),
    Model(
        "SD 3.5 large",
        "StableDiffusion3Pipeline",
        {
            "num_layers": 38,
            "num_attention_heads": 38,
            "caption_projection_dim": 2432,
            "pos_embed_max_size": 192,
            "qk_norm": "rms_norm",
        },
        tokens=64**2 + 77 + 256,
        source="stabilityai/stable-diffusion-3.5-large",
        latents=(16, 128, 128),
        prompt={"encoder_hidden_states": (333, 4096), "pooled_projections": (2048,)},
    ),
    Model(
        "FLUX.1-dev",
        "FluxPipeline",
        {"guidance_embeds": True},
        tokens=64**2 + 512,
        source="black-forest-labs/FLUX.1-dev",
        latents=(16, 128, 128),
        prompt={"encoder_hidden_states": (512, 4096), "pooled_projections": (768,)},
    ),
    Model(
        "FLUX.1 Kontext",
        "FluxKontextPipeline",
        {"guidance_embeds": True},
        tokens=2 * 64**2 + 512,
        source="black-forest-labs/FLUX.1-Kontext-dev",
        latents=(16, 128, 128),
        prompt={
            "encoder_hidden_states": (512, 4096),
            "pooled_projections": (768,),
            "before": (16, 128, 128),
        },
    ),
    Model(
        "Chroma1",
        "ChromaPipeline",
        {},
        tokens=64**2 + 512,
        source="lodestones/Chroma1-HD",
        latents=(16, 128, 128),
        prompt={"encoder_hidden_states": (512, 4096), "attention_mask": (512,)},
    ),
    Model(
        "FLUX.2 dev",
        "Flux2Pipeline",
        {},
        tokens=64**2 + 512,
        source="black-forest-labs/FLUX.2-dev",
        latents=(128, 64, 64),
        prompt={"encoder_hidden_states": (512, 3 * 5120)},
    ),
    Model(
        "FLUX.2 klein base 4B",
        "Flux2KleinPipeline",
        {
            "num_layers": 5,
            "num_single_layers": 20,
            "num_attention_heads": 24,
            "joint_attention_dim": 3 * 2560,
            "guidance_embeds": False,
        },
        tokens=64**2 + 512,
        source="black-forest-labs/FLUX.2-klein-base-4B",
        latents=(128, 64, 64),
        prompt={"encoder_hidden_states": (512, 3 * 2560)},
    ),
    Model(
        "FLUX.2 klein base 9B",
        "Flux2KleinPipeline",
        {
            "num_layers": 8,
            "num_single_layers": 24,
            "num_attention_heads": 32,
            "joint_attention_dim": 3 * 4096,
            "guidance_embeds": False,
        },
        tokens=64**2 + 512,
        source="black-forest-labs/FLUX.2-klein-base-9B",
        latents=(128, 64, 64),
        prompt={"encoder_hidden_states": (512, 3 * 4096)},
    ),
    Model(
        "Sana 1.6B",
        "SanaPipeline",
        {},
        tokens=32**2,  # the text is attended to, not part of the stream
        source="Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        latents=(32, 32, 32),
        prompt={"encoder_hidden_states": (300, 2304), "encoder_attention_mask": (300,)},
    ),
    Model(
        "Qwen-Image",
        "QwenImagePipeline",
        {},
        tokens=64**2 + 512,
        source="Qwen/Qwen-Image",
        latents=(16, 128, 128),
        prompt={"encoder_hidden_states": (512, 3584)},
    ),
    Model(
        "Z-Image",
        "ZImagePipeline",
        {},
        tokens=64**2 + 512,
        source="Tongyi-MAI/Z-Image-Turbo",
        latents=(16, 128, 128),
        prompt={"cap_feats": (512, 2560)},
    ),
    Model(
        "CogVideoX 2B",
        "CogVideoXPipeline",
        {},
        tokens=13 * 30 * 45 + 226,
        source="THUDM/CogVideoX-2b",
        latents=(16, 13, 60, 90),
        prompt={"encoder_hidden_states": (226, 4096)},
    ),
    Model(
        "CogVideoX 5B",
        "CogVideoXPipeline",
        {
            "num_attention_heads": 48,
            "num_layers": 42,
            "use_rotary_positional_embeddings": True,
        },
        tokens=13 * 30 * 45 + 226,
        source="THUDM/CogVideoX-5b",
        latents=(16, 13, 60, 90),
        prompt={"encoder_hidden_states": (226, 4096)},
    ),
    Model(
        "HunyuanVideo 1.5",
        "HunyuanVideo15Pipeline",
        {"task_type": "t2v"},
        tokens=31 * 30 * 53 + 1000 + 256 + 1,
        source="hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
        latents=(32, 31, 30, 53),
        prompt={
            "encoder_hidden_states": (1000, 3584),
            "encoder_attention_mask": (1000,),
            "encoder_hidden_states_2": (256, 1472),
            "encoder_attention_mask_2": (256,),
        },
    ),
    Model(
        "LTX-2",
        "LTX2Pipeline",
        {},
        tokens=16 * 16 * 24 + 126 // 2,  # a token of sound is half as wide
        source="Lightricks/LTX-2",
        latents=(128, 16 + 1, 16, 24),  # a frame of them holds the sound
        prompt={
            "encoder_hidden_states": (1024, 3840),
            "audio_encoder_hidden_states": (1024, 3840),
            "encoder_attention_mask": (1024,),
        },
    ),
    Model(
        "Wan 2.1 1.3B",
        "WanPipeline",
        {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
        tokens=21 * 30 * 52,
        source="Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        latents=(16, 21, 60, 104),
        prompt={"encoder_hidden_states": (512, 4096)},
    ),
    Model(
        "Wan 2.2 5B",
        "WanPipeline",
        {
            "num_attention_heads": 24,
            "ffn_dim": 14336,
            "num_layers": 30,
            "in_channels": 48,
            "out_channels": 48,
        },
        tokens=31 * 22 * 40,
        source="Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        latents=(48, 31, 44, 80),
        prompt={"encoder_hidden_states": (512, 4096)},
    ),
    Model(
        "Wan 2.2 A14B",  # one of its two experts, which are alike
        "WanPipeline",
        {},
        tokens=21 * 30 * 52,
        source="Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        latents=(16, 21, 60, 104),
        prompt={"encoder_hidden_states": (512, 4096)},
    ),
]
