"""From a name, folder or hub id to a backbone."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from pathlib import Path

import torch

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.names import EMBEDDED, check_name
from sipo.backbones.quantized import quantization

FAMILIES = {
    "ChromaPipeline": "sipo.backbones.chroma:Chroma",
    "CogVideoXPipeline": "sipo.backbones.cogvideox:CogVideoX",
    "FluxPipeline": "sipo.backbones.flux:Flux",
    "SanaPipeline": "sipo.backbones.sana:Sana",
    "StableDiffusion3Pipeline": "sipo.backbones.sd3:StableDiffusion3",
    "StableDiffusionPipeline": "sipo.backbones.stable_diffusion:StableDiffusion",
    "StableDiffusionXLPipeline": "sipo.backbones.sdxl:StableDiffusionXL",
    "WanPipeline": "sipo.backbones.wan:Wan",
    "ZImagePipeline": "sipo.backbones.z_image:ZImage",
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
) -> Backbone:
    """`name`: "mini-sd", a diffusers folder or a hub id; `weights`: a folder of `sipo-train`.

    Raises ValueError for a name that is none of these, a family without a backbone file,
    weights of another architecture, or bits that cannot be had here.
    """
    path = resolve(name)
    family = _pipeline_class(name, path)
    if family not in FAMILIES:
        raise ValueError(
            f"--backbone {name!r} is a {family}, which has no backbone file yet; "
            f"supported: {', '.join(sorted(FAMILIES))}"
        )
    module, class_name = FAMILIES[family].split(":")
    backbone: Backbone = getattr(import_module(module), class_name).load(
        path, denoiser_only, DTYPES[dtype], quantization(quantize, DTYPES[dtype])
    )
    backbone.name = name
    if (file := Path(path) / SAMPLER_FILE).is_file():
        backbone.default_sampler = Sampler.model_validate_json(file.read_text())
    if weights is not None:
        _load_weights(backbone, Path(weights))
    backbone.denoiser.requires_grad_(False).eval()
    return backbone


def resolve(name: str) -> str:
    """The folder of an embedded name; anything else as it is."""
    if name in EMBEDDED:
        from sipo.mini import weights_folder

        return str(weights_folder(name))
    return name


def _pipeline_class(name: str, path: str) -> str:
    index = Path(path) / "model_index.json"
    if index.is_file():
        return str(json.loads(index.read_text())["_class_name"])
    check_name(name)
    from diffusers import DiffusionPipeline

    try:
        return str(DiffusionPipeline.load_config(name)["_class_name"])
    except OSError as error:
        first_line = str(error).strip().splitlines()[0]
        raise ValueError(f"--backbone {name!r} could not be loaded: {first_line}") from None


def _load_weights(backbone: Backbone, folder: Path) -> None:
    if not folder.is_dir():
        raise ValueError(f"--weights {str(folder)!r} does not exist; give a folder of sipo-train")
    loader = logging.getLogger("diffusers.loaders.peft")
    level = loader.level
    loader.setLevel(logging.CRITICAL)  # it would print what is raised, a line for every tensor
    try:
        backbone.load_weights(folder)
    except (RuntimeError, KeyError) as error:
        first = " ".join(line.strip() for line in str(error).strip().splitlines()[:2]).rstrip(".")
        raise ValueError(
            f"--weights {str(folder)!r} does not fit backbone {backbone.name!r}: {first}; "
            "name the --backbone it was trained on"
        ) from None
    finally:
        loader.setLevel(level)
