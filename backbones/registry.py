"""From a name, folder or hub id to a backbone."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import torch

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.loading.model_folders import read_index
from sipo.backbones.loading.names import EMBEDDED as EMBEDDED
from sipo.backbones.loading.names import find_backbone
from sipo.backbones.loading.pretrained import explained
from sipo.backbones.loading.quantized import quantization
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.files.text import read_text

FAMILIES = {
    "ChromaPipeline": "sipo.backbones.images.chroma:Chroma",
    "CogVideoXPipeline": "sipo.backbones.video.cogvideox:CogVideoX",
    "FluxPipeline": "sipo.backbones.images.flux:Flux",
    "SanaPipeline": "sipo.backbones.images.sana:Sana",
    "StableDiffusion3Pipeline": "sipo.backbones.images.sd3:StableDiffusion3",
    "StableDiffusionPipeline": "sipo.backbones.images.stable_diffusion:StableDiffusion",
    "StableDiffusionXLPipeline": "sipo.backbones.images.sdxl:StableDiffusionXL",
    "WanPipeline": "sipo.backbones.video.wan:Wan",
    "ZImagePipeline": "sipo.backbones.images.z_image:ZImage",
}
"""diffusers pipeline class (`_class_name` of model_index.json) -> our class."""

SAMPLER_FILE = "sampler.json"
"""Beside model_index.json: how a checkpoint wants to be sampled. diffusers ignores it."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def load_backbone(
    name: str,
    weights: str | Path | None = None,
    denoiser_only: bool = False,
    dtype: str = "float32",
    quantize: str = "no",
    option: str = "--weights",
) -> Backbone:
    """`name`: "mini-sd", a diffusers folder or a hub id; `weights`: see weights.py, `option` is
    where they were asked for.

    Raises ValueError for a name that is none of these, a family without a backbone file, files that
    are damaged, weights of another architecture, or bits that cannot be had here.
    """
    if weights is not None:
        check_weights(weights, option)
    path = find_backbone(name)
    family = _pipeline_class(name, path)
    if family not in FAMILIES:
        raise ValueError(
            f"--backbone {name!r} is a {family}, which has no backbone file yet; "
            f"supported: {', '.join(sorted(FAMILIES))}"
        )
    module, class_name = FAMILIES[family].split(":")
    kind: type[Backbone] = getattr(import_module(module), class_name)
    backbone = kind.load(path, denoiser_only, DTYPES[dtype], quantization(quantize, DTYPES[dtype]))
    backbone.name = name
    if (file := Path(path) / SAMPLER_FILE).is_file():
        backbone.default_sampler = Sampler.model_validate_json(read_text(file))
    if weights is not None:
        backbone.load_weights(Path(weights), option)
    backbone.denoiser.requires_grad_(False).eval()
    return backbone


def _pipeline_class(name: str, path: str) -> str:
    what = f"--backbone {name!r}:"
    if Path(path).is_dir():
        return str(read_index(Path(path), what)["_class_name"])
    from diffusers import DiffusionPipeline

    with explained(what):
        return str(DiffusionPipeline.load_config(name)["_class_name"])
