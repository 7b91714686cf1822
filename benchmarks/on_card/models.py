"""The five models at their published sizes, or tiny ones: made whole, or the denoiser alone.

VAEs and text encoders are as published; tokenizers know single letters, which costs the same, since
every prompt is padded to the text encoder's length.
"""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLCogVideoX,
    AutoencoderKLWan,
    DDIMScheduler,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
)
from on_card.random_weights import made
from published import MODELS, SCHEDULE, Model
from tiny import clip_tokenizer, tiny_pipeline
from tiny_flux import tiny_flux
from tiny_sdxl import tiny_sdxl
from tiny_text import t5
from tiny_video import cogvideox_scheduler, tiny_cogvideox, tiny_wan, wan_scheduler
from torch import nn
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    UMT5Config,
    UMT5EncoderModel,
)

from sipo.backbones.base import Sampler
from sipo.backbones.pipeline import PipelineBackbone
from sipo.backbones.registry import FAMILIES, load_backbone

Make = Callable[[], nn.Module]


@dataclass(frozen=True, eq=False)
class Build:
    """`networks` and `rest` are the pipeline's components; `images` are sampled in a batch and
    `pairs` trained on; `sampler` is what a user asks for."""

    model: Model
    networks: Mapping[str, Make]
    rest: Mapping[str, Any]
    sampler: Sampler
    images: int = 1
    pairs: int = 1

    @property
    def family(self) -> type[PipelineBackbone]:
        module, name = FAMILIES[self.model.pipeline].split(":")
        kind: type[PipelineBackbone] = getattr(import_module(module), name)
        return kind

    def denoiser_only(self, dtype: torch.dtype, device: torch.device) -> PipelineBackbone:
        """As training loads it."""
        make = self.networks[self.family.denoiser_folder]
        return self.family(self.model.name, made(make, dtype, device), SCHEDULE)

    def whole(self, dtype: torch.dtype, device: torch.device) -> PipelineBackbone:
        """As sampling loads it; Wan's VAE in float32."""
        precise = ("vae",) if self.model.pipeline == "WanPipeline" else ()
        networks = {
            name: made(make, torch.float32 if name in precise else dtype, device)
            for name, make in self.networks.items()
        }
        kind = self.family
        pipeline = kind.pipeline_class(**networks, **self.rest, **kind.pipeline_options)
        return kind.from_pipeline(self.model.name, pipeline)


def full_builds() -> list[Build]:
    """Cheapest first."""
    by_name = {model.name: model for model in MODELS}
    clip_l = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12}
    clip_l |= {"num_attention_heads": 12, "projection_dim": 768}
    clip_g = {"hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32}
    clip_g |= {"num_attention_heads": 20, "projection_dim": 1280, "hidden_act": "gelu"}
    xxl = {"d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
    xxl |= {"feed_forward_proj": "gated-gelu"}
    text_l: Make = lambda: CLIPTextModel(CLIPTextConfig(**clip_l))  # noqa: E731
    text_g: Make = lambda: CLIPTextModelWithProjection(CLIPTextConfig(**clip_g))  # noqa: E731
    t5_xxl: Make = lambda: T5EncoderModel(T5Config(vocab_size=32128, **xxl))  # noqa: E731
    umt5: Make = lambda: UMT5EncoderModel(UMT5Config(vocab_size=256384, **xxl))  # noqa: E731
    clip, pieces = full_clip_tokenizer(), t5(8)["tokenizer"]
    noise = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    noise |= {"steps_offset": 1, "timestep_spacing": "leading"}
    return [
        Build(
            by_name["SD 1.5"],
            {"unet": unet(by_name["SD 1.5"]), "text_encoder": text_l, "vae": vae(512, 0.18215)},
            {"tokenizer": clip, "scheduler": DDIMScheduler(clip_sample=False, **noise)}
            | {"feature_extractor": None},
            Sampler(steps=50, guidance=7.5, height=512, width=512),
            images=8,
            pairs=8,
        ),
        Build(
            by_name["SDXL 1.0"],
            {"unet": unet(by_name["SDXL 1.0"]), "vae": vae(1024, 0.13025)}
            | {"text_encoder": text_l, "text_encoder_2": text_g},
            {"tokenizer": clip, "tokenizer_2": clip, "scheduler": EulerDiscreteScheduler(**noise)},
            Sampler(steps=50, guidance=5.0, height=1024, width=1024),
            images=4,
            pairs=4,
        ),
        Build(
            by_name["FLUX.1-dev"],
            {"transformer": transformer(by_name["FLUX.1-dev"])}
            | {"text_encoder": text_l, "text_encoder_2": t5_xxl}
            | {"vae": vae(1024, 0.3611, channels=16, quant=False, shift_factor=0.1159)},
            {"tokenizer": clip, "tokenizer_2": pieces}
            | {"scheduler": FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)},
            Sampler(steps=28, guidance=3.5, height=1024, width=1024),
            images=2,
        ),
        Build(
            by_name["CogVideoX 2B"],
            {"transformer": transformer(by_name["CogVideoX 2B"]), "text_encoder": t5_xxl}
            | {"vae": AutoencoderKLCogVideoX},
            {"tokenizer": pieces, "scheduler": cogvideox_scheduler("2b")},
            Sampler(steps=50, guidance=6.0, height=480, width=720, frames=49),
        ),
        Build(
            by_name["Wan 2.1 1.3B"],
            {"transformer": transformer(by_name["Wan 2.1 1.3B"]), "text_encoder": umt5}
            | {"vae": AutoencoderKLWan},
            {"tokenizer": pieces, "scheduler": wan_scheduler()},
            Sampler(steps=50, guidance=5.0, height=480, width=832, frames=81),
        ),
    ]


def unet(model: Model) -> Make:
    """The UNet says the pipeline's default size, which the published differences leave out."""
    return partial(kind_of(model).denoiser_class, sample_size=model.latents[-1], **model.config)


def transformer(model: Model) -> Make:
    return partial(kind_of(model).denoiser_class, **model.config)


def kind_of(model: Model) -> type[PipelineBackbone]:
    module, name = FAMILIES[model.pipeline].split(":")
    kind: type[PipelineBackbone] = getattr(import_module(module), name)
    return kind


def vae(size: int, scaling: float, channels: int = 4, quant: bool = True, **given: float) -> Make:
    """Stable Diffusion's, whose layout SDXL and FLUX share."""
    return partial(
        AutoencoderKL,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(128, 256, 512, 512),
        layers_per_block=2,
        latent_channels=channels,
        sample_size=size,
        scaling_factor=scaling,
        use_quant_conv=quant,
        use_post_quant_conv=quant,
        **given,
    )


def full_clip_tokenizer() -> Any:
    with tempfile.TemporaryDirectory() as scratch:
        tokenizer = clip_tokenizer(Path(scratch))
    tokenizer.model_max_length = 77
    return tokenizer


TINY = {
    "SD 1.5": tiny_pipeline,
    "SDXL 1.0": tiny_sdxl,
    "FLUX.1-dev": tiny_flux,
    "CogVideoX 2B": tiny_cogvideox,
    "Wan 2.1 1.3B": tiny_wan,
}


def tiny_builds(root: Path) -> list[Build]:
    """The tests' models of the same families, taken apart and built like the others."""
    return [tiny_build(name, make(root / name.replace(" ", "-"))) for name, make in TINY.items()]


def tiny_build(name: str, folder: Path) -> Build:
    backbone: Any = load_backbone(str(folder))
    components = backbone.pipeline.components
    networks = {k: like(c) for k, c in components.items() if isinstance(c, nn.Module)}
    rest = {k: c for k, c in components.items() if k not in networks}
    rest = {k: c for k, c in rest.items() if k != "safety_checker"}
    latents = backbone.sample(["a cat"], [0], backbone.default_sampler)[0].latents
    prompt = backbone.encode_prompts(["a cat"])
    published = next(model for model in MODELS if model.name == name)
    config = {k: v for k, v in backbone.denoiser.config.items() if not k.startswith("_")}
    model = dataclasses.replace(
        published,
        config=config,
        tokens=latents[0].numel(),
        latents=tuple(latents.shape),
        prompt={k: tuple(v.shape[1:]) for k, v in prompt.items()},
    )
    return Build(model, networks, rest, backbone.default_sampler, images=2, pairs=2)


def like(network: Any) -> Make:
    """What makes another one of the same configuration."""
    if hasattr(network, "from_config"):
        return partial(type(network).from_config, network.config)
    return partial(type(network), network.config)
