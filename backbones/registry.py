"""From a name, folder or hub id to a backbone."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sipo.backbones.base import Backbone, Provenance, Sampler, no_experts
from sipo.backbones.loading.model_folders import read_index
from sipo.backbones.loading.names import EMBEDDED as EMBEDDED
from sipo.backbones.loading.names import GROUP, find_backbone, is_part
from sipo.backbones.loading.pretrained import explained
from sipo.backbones.loading.quantized import quantization
from sipo.backbones.loading.trained_weights import check_weights
from sipo.backbones.model_defaults import SAMPLER_FILE as SAMPLER_FILE
from sipo.backbones.model_defaults import sampler_of
from sipo.common.files.urls import place_of
from sipo.common.plugins import find_part, installed_names, near_first
from sipo.common.quiet_libraries import no_collection

if TYPE_CHECKING:
    from diffusers.quantizers.quantization_config import QuantizationConfigMixin

FAMILIES = {
    "ChromaPipeline": "sipo.backbones.images.chroma:Chroma",
    "CogVideoXPipeline": "sipo.backbones.video.cogvideox:CogVideoX",
    "Flux2KleinPipeline": "sipo.backbones.images.flux2:Flux2Klein",
    "Flux2Pipeline": "sipo.backbones.images.flux2:Flux2",
    "FluxKontextPipeline": "sipo.backbones.images.flux_kontext:FluxKontext",
    "FluxPipeline": "sipo.backbones.images.flux:Flux",
    "HunyuanVideo15Pipeline": "sipo.backbones.video.hunyuan_video:HunyuanVideo",
    "LTX2Pipeline": "sipo.backbones.video.ltx2:Ltx2",
    "QwenImage21Pipeline": "sipo.backbones.images.qwen_image_21:QwenImage21",
    "QwenImagePipeline": "sipo.backbones.images.qwen_image:QwenImage",
    "SanaPipeline": "sipo.backbones.images.sana:Sana",
    "StableDiffusion3Pipeline": "sipo.backbones.images.sd3:StableDiffusion3",
    "StableDiffusionPipeline": "sipo.backbones.images.stable_diffusion:StableDiffusion",
    "StableDiffusionXLPipeline": "sipo.backbones.images.sdxl:StableDiffusionXL",
    "WanPipeline": "sipo.backbones.video.wan:Wan",
    "ZImagePipeline": "sipo.backbones.images.z_image:ZImage",
}
"""diffusers pipeline class (`_class_name` of model_index.json) -> our class."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_backbone(
    name: str,
    weights: str | Path | None = None,
    denoiser_only: bool = False,
    dtype: str = "float32",
    quantize: str = "no",
    option: str = "--weights",
    expert: str = "",
) -> Backbone:
    """`name`: "mini-sd", a diffusers folder, a hub id, or what makes a backbone of one's own;
    `weights`: see trained_weights.py, `option` is where they were asked for; `expert`: the one that
    is to be trained, of a checkpoint with several.

    Raises ValueError for a name that is none of these, a family without a backbone file, files that
    are damaged, weights of another architecture, or bits that cannot be had here.
    """
    if weights is not None:
        check_weights(weights, option)
    path, made_of = find_backbone(name), (DTYPES[dtype], quantization(quantize, DTYPES[dtype]))
    if is_part(name):
        if expert:
            raise ValueError(no_experts(name, expert))
        backbone = _made(name, denoiser_only, *made_of)
    else:
        kind, part = _family(name, _pipeline_class(name, path))
        if expert:
            backbone = kind.load_expert(path, expert, denoiser_only, *made_of)
        else:
            backbone = kind.load(path, denoiser_only, *made_of)
        backbone.part = part
    backbone.name = name
    if sampler := sampler_of(path, Sampler):
        backbone.default_sampler = sampler
    if weights is not None:
        backbone.load_weights(place_of(weights), option)
    for network in backbone.denoisers().values():
        network.requires_grad_(False).eval()
    return backbone


def _made(
    name: str, denoiser_only: bool, dtype: torch.dtype, quantization: QuantizationConfigMixin | None
) -> Backbone:
    """By a function from outside, which is given the arguments of `Backbone.load` by name."""
    part = find_part(GROUP, name, "--backbone")
    assert part is not None, "is_part"
    made = None
    if callable(part.value):
        made = part.value(denoiser_only=denoiser_only, dtype=dtype, quantization=quantization)
    if not isinstance(made, Backbone):
        raise ValueError(
            f"--backbone {name!r} gave {type(made).__name__}; it takes denoiser_only, dtype and "
            "quantization, and gives a sipo.backbones.base.Backbone"
        )
    made.part = part.provenance()
    return made


def _family(name: str, pipeline: str) -> tuple[type[Backbone], Provenance | None]:
    """The class for folders of a pipeline class: ours, or an installed package's."""
    if pipeline in FAMILIES:
        module, class_name = FAMILIES[pipeline].split(":")
        with no_collection():
            kind: type[Backbone] = getattr(import_module(module), class_name)
        return kind, None
    part = find_part(GROUP, pipeline, f"--backbone {name!r}:")
    if part is None:
        known = near_first(pipeline, sorted({*FAMILIES, *installed_names(GROUP)}))
        raise ValueError(
            f"--backbone {name!r} is a {pipeline}, which has no backbone file yet; "
            f"supported: {', '.join(known)}"
        )
    if not (isinstance(part.value, type) and issubclass(part.value, Backbone)):
        raise ValueError(
            f"--backbone {name!r}: {pipeline} of an installed package is no class of Backbone"
        )
    return part.value, part.provenance()


def _pipeline_class(name: str, path: str) -> str:
    what = f"--backbone {name!r}:"
    if Path(path).is_dir():
        return str(read_index(Path(path), what)["_class_name"])
    from diffusers import DiffusionPipeline

    with explained(what):
        return str(DiffusionPipeline.load_config(name)["_class_name"])
