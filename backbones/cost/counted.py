"""What a denoiser computes for one row, of families whose published architectures were counted.

`benchmarks/sizes.py` counts on the meta device (matrix products, convolutions and attention, 2 a
multiplication); tests/backbones/test_cost.py holds this table to it. All here is told without
loading torch or a model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path

from sipo.backbones.loading.model_folders import INDEX
from sipo.common.files.strict_json import load_json


@dataclass(frozen=True)
class Counted:
    """`operations` (a, b, c): a + b x + c x^2 for latents of x places, exactly: linear layers and
    convolutions grow with x, attention among them with x^2, what is done to the text not at all.
    Sound is no part of x: LTX-2's are exact for 121 frames and their 126 latents of sound.

    `architecture` are the values of the denoiser's config.json that tell it from its relatives.
    """

    name: str
    source: str  # hub id
    pipeline: str
    operations: tuple[float, float, float]
    latents: tuple[int, ...]  # (C, H, W) or (C, F, H, W), as published
    text_values: int  # of a prompt's embeddings
    steps: int  # the family's default
    rows: int = 2  # asked a step: with guidance twice, FLUX once, LTX-2 four times
    guided_above: float = 1.0  # guidance up to here asks once
    side_px: int = 8  # of a place of the latents
    frame_step: int = 4  # frames that a latent one stands for, after the first
    sound_frames: int = 0  # latent ones behind the clip's that hold its sound, at this size
    like: str = ""  # whose share of a card is taken, where its own was not measured
    architecture: Mapping[str, object] = field(default_factory=dict)
    index: Mapping[str, object] = field(default_factory=dict)
    """Values of model_index.json, where architectures are alike."""

    @property
    def is_video(self) -> bool:
        return len(self.latents) == 4

    def sized(self, height: int | None, width: int | None, frames: int | None) -> tuple[int, ...]:
        """The latents of that many pixels; frames are `frame_step` n + 1."""
        channels, *in_time, high, wide = self.latents
        if frames is not None and in_time:
            in_time = [(frames - 1) // self.frame_step + 1 + self.sound_frames]
        high = height // self.side_px if height else high
        wide = width // self.side_px if width else wide
        return (channels, *in_time, high, wide)

    def forward(self, latents: tuple[int, ...]) -> float:
        """Operations of one row."""
        places = prod(latents[1:]) - self.sound_frames * prod(latents[-2:])
        constant, linear, square = self.operations
        return constant + linear * places + square * places**2


_SD3 = {"in_channels": 16, "patch_size": 2, "joint_attention_dim": 4096}
_FLUX = {"num_layers": 19, "num_single_layers": 38, "num_attention_heads": 24}
_FLUX |= {"attention_head_dim": 128, "in_channels": 64}
MODELS = (
    Counted(
        "SD 1.5",
        "stable-diffusion-v1-5/stable-diffusion-v1-5",
        "StableDiffusionPipeline",
        (3007774720, 165471440, 7301.25),
        (4, 64, 64),
        77 * 768,
        steps=50,
        architecture={
            "block_out_channels": [320, 640, 1280, 1280],
            "cross_attention_dim": 768,
            "layers_per_block": 2,
        },
    ),
    Counted(
        "SDXL 1.0",
        "stabilityai/stable-diffusion-xl-base-1.0",
        "StableDiffusionXLPipeline",
        (52531036160, 363591680, 2800),
        (4, 128, 128),
        77 * 2048 + 1280,
        steps=50,
        architecture={
            "block_out_channels": [320, 640, 1280],
            "transformer_layers_per_block": [1, 2, 10],
            "cross_attention_dim": 2048,
        },
    ),
    Counted(
        "SD 3.5 medium",
        "stabilityai/stable-diffusion-3.5-medium",
        "StableDiffusion3Pipeline",
        (460481642496, 425730048, 14208),
        (16, 128, 128),
        333 * 4096 + 2048,
        steps=28,
        like="FLUX.1-dev",
        architecture={**_SD3, "num_layers": 24, "num_attention_heads": 24},
    ),
    Counted(
        "SD 3.5 large",
        "stabilityai/stable-diffusion-3.5-large",
        "StableDiffusion3Pipeline",
        (1813826749440, 1410238976, 23104),
        (16, 128, 128),
        333 * 4096 + 2048,
        steps=28,
        like="FLUX.1-dev",
        architecture={**_SD3, "num_layers": 38, "num_attention_heads": 38},
    ),
    Counted(
        "FLUX.1-dev",
        "black-forest-labs/FLUX.1-dev",
        "FluxPipeline",
        (6813006692352, 3407020032, 43776),
        (16, 128, 128),
        512 * 4096 + 768,
        steps=28,
        rows=1,
        architecture={**_FLUX, "guidance_embeds": True},
    ),
    Counted(  # of edits: the picture's places beside the result's
        "FLUX.1 Kontext",
        "black-forest-labs/FLUX.1-Kontext-dev",
        "FluxKontextPipeline",
        (6813006692352, 6814040064, 175104),
        (16, 128, 128),
        512 * 4096 + 768 + 16 * 128 * 128,
        steps=28,
        rows=1,
        like="FLUX.1-dev",
        architecture={**_FLUX, "guidance_embeds": True},
    ),
    Counted(
        "Chroma1",
        "lodestones/Chroma1-HD",
        "ChromaPipeline",
        (6997851242496, 3407020032, 43776),
        (16, 128, 128),
        512 * 4096 + 512,
        steps=35,
        like="FLUX.1-dev",
        architecture=_FLUX,
    ),
    Counted(
        "FLUX.2 dev",
        "black-forest-labs/FLUX.2-dev",
        "Flux2Pipeline",
        (28599480483840, 56374591488, 1376256),
        (128, 64, 64),
        512 * 15360,
        steps=50,
        rows=1,
        side_px=16,
        like="FLUX.1-dev",
        architecture={"num_layers": 8, "num_single_layers": 48, "num_attention_heads": 48},
    ),
    Counted(
        "FLUX.2 klein base 4B",
        "black-forest-labs/FLUX.2-klein-base-4B",
        "Flux2KleinPipeline",
        (3245725974528, 6450315264, 307200),
        (128, 64, 64),
        512 * 7680,
        steps=50,
        side_px=16,
        like="FLUX.1-dev",
        architecture={"num_layers": 5, "num_single_layers": 20, "num_attention_heads": 24},
    ),
    Counted(
        "FLUX.2 klein base 9B",
        "black-forest-labs/FLUX.2-klein-base-9B",
        "Flux2KleinPipeline",
        (7336410218496, 14497611776, 524288),
        (128, 64, 64),
        512 * 12288,
        steps=50,
        side_px=16,
        like="FLUX.1-dev",
        architecture={"num_layers": 8, "num_single_layers": 24, "num_attention_heads": 32},
    ),
    Counted(
        "Sana 1.6B",
        "Efficient-Large-Model/Sana_1600M_1024px_diffusers",
        "SanaPipeline",
        (126600929280, 2773496320, 0),
        (32, 32, 32),
        300 * 2304 + 300,
        steps=20,
        side_px=32,
        like="FLUX.1-dev",
        architecture={"num_layers": 20, "num_attention_heads": 70, "attention_head_dim": 32},
    ),
    Counted(
        "Qwen-Image",
        "Qwen/Qwen-Image",
        "QwenImagePipeline",
        (7176042577920, 3586326528, 46080),
        (16, 128, 128),
        512 * 3584,
        steps=50,
        like="FLUX.1-dev",
        architecture={"num_layers": 60, "num_attention_heads": 24, "joint_attention_dim": 3584},
    ),
    Counted(
        "Z-Image",
        "Tongyi-MAI/Z-Image-Turbo",
        "ZImagePipeline",
        (5937627529216, 2949365760, 30720),
        (16, 128, 128),
        512 * 2560,
        steps=50,
        guided_above=0.0,
        like="FLUX.1-dev",
        architecture={"dim": 3840, "n_layers": 30, "n_heads": 30, "cap_feat_dim": 2560},
    ),
    Counted(
        "CogVideoX 2B",
        "THUDM/CogVideoX-2b",
        "CogVideoXPipeline",
        (615887802368, 689710080, 14400),
        (16, 13, 60, 90),
        226 * 4096,
        steps=50,
        architecture={"num_layers": 30, "num_attention_heads": 30, "attention_head_dim": 64},
    ),
    Counted(
        "CogVideoX 5B",
        "THUDM/CogVideoX-5b",
        "CogVideoXPipeline",
        (2183509016576, 2436685824, 32256),
        (16, 13, 60, 90),
        226 * 4096,
        steps=50,
        like="CogVideoX 2B",
        architecture={
            "num_layers": 42,
            "num_attention_heads": 48,
            "attention_head_dim": 64,
            "patch_size_t": None,
        },
    ),
    Counted(
        "HunyuanVideo 1.5",
        "hunyuanvideo-community/HunyuanVideo-1.5-Diffusers-480p_t2v",
        "HunyuanVideo15Pipeline",
        (7775550914560, 6548328448, 442368),
        (32, 31, 30, 53),
        1000 * 3584 + 1000 + 256 * 1472 + 256,
        steps=50,
        side_px=16,
        like="Wan 2.1 1.3B",
        architecture={"num_layers": 54, "num_attention_heads": 16, "image_embed_dim": 1152},
    ),
    Counted(
        "LTX-2",
        "Lightricks/LTX-2",
        "LTX2Pipeline",
        (5185359839232, 26676297728, 786432),
        (128, 17, 16, 24),
        2 * 1024 * 3840 + 1024,
        steps=30,
        rows=4,
        guided_above=-1.0,
        side_px=32,
        frame_step=8,
        sound_frames=1,
        like="Wan 2.1 1.3B",
        architecture={
            "num_layers": 48,
            "num_attention_heads": 32,
            "audio_num_attention_heads": 32,
            "cross_attn_mod": False,
        },
    ),
    Counted(
        "Wan 2.1 1.3B",
        "Wan-AI/Wan2.1-T2V-1.3B-Diffusers",
        "WanPipeline",
        (153847332864, 648904704, 11520),
        (16, 21, 60, 104),
        512 * 4096,
        steps=50,
        architecture={"num_layers": 30, "num_attention_heads": 12, "ffn_dim": 8960},
    ),
    Counted(
        "Wan 2.2 5B",
        "Wan-AI/Wan2.2-TI2V-5B-Diffusers",
        "WanPipeline",
        (602502856704, 2218328064, 23040),
        (48, 31, 44, 80),
        512 * 4096,
        steps=50,
        side_px=16,
        like="Wan 2.1 1.3B",
        architecture={"num_layers": 30, "num_attention_heads": 24, "in_channels": 48},
    ),
    Counted(
        "Wan 2.2 A14B",
        "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
        "WanPipeline",
        (2196171653120, 6082068480, 51200),
        (16, 21, 60, 104),
        512 * 4096,
        steps=40,
        like="Wan 2.1 1.3B",
        architecture={"num_layers": 40, "num_attention_heads": 40, "in_channels": 16},
        index={"boundary_ratio": 0.875},
    ),
)


def counted(backbone: str) -> Counted | None:
    """By a hub id or a name of the table, or by the config files of a folder; None where unknown.

    Asks no hub.
    """
    folder = Path(backbone)
    if (folder / INDEX).is_file():
        return next((model for model in MODELS if _is_of(folder, model)), None)
    return next((model for model in MODELS if backbone in (model.source, model.name)), None)


def _is_of(folder: Path, model: Counted) -> bool:
    index = _read(folder / INDEX)
    part = "unet" if (folder / "unet").is_dir() else "transformer"
    config = _read(folder / part / "config.json")
    if index.get("is_distilled"):  # to few steps without guidance: none of ours is
        return False
    asked = ((index, {"_class_name": model.pipeline, **model.index}), (config, model.architecture))
    return all(of.get(name) == value for of, own in asked for name, value in own.items())


def _read(file: Path) -> dict[str, object]:
    """Nothing of one that cannot be read: `generate` says what is wrong with it."""
    try:
        read = load_json(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
