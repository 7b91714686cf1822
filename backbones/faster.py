"""Faster sampling that changes pictures a little: compiled blocks, caches over steps, 8-bit floats.

All three are torch's, diffusers' and torchao's own; a sampler's settings say which were on.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec

import torch
from diffusers import FirstBlockCacheConfig, ModelMixin, TaylorSeerCacheConfig
from torch import nn

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.blocks import blocks_of, names_of_blocks

_ATTENTION = r"(single_transformer_|transformer_)?blocks\.\d+\.attn\d*"
"""What TaylorSeer foretells; diffusers' own pattern knows no "attn1", as video models name it."""
FP8_CAPABILITY = (8, 9)  # Ada; Hopper is 9.0
FP8_MULTIPLE = 16  # both sides of a matrix that torch._scaled_mm takes


def refuse_unavailable(
    device: torch.device, compile: bool, fp8: bool, dtype: str, quantize: str, offload: bool
) -> None:
    """Raises ValueError for what cannot be had on this machine, before a model is loaded."""
    if compile and not _has_compiler(device):
        raise ValueError(
            f"--compile on {device.type!r} needs a C++ compiler (g++ or clang++; on a card Triton "
            "too), and there is none here; install it, or leave --compile out"
        )
    if not fp8:
        return
    if device.type != "cuda" or torch.cuda.get_device_capability(device) < FP8_CAPABILITY:
        raise ValueError(
            f"--fp8 needs a card of compute capability 8.9 (Ada, Hopper) or later, and --device is "
            f"{str(device)!r}; leave it out"
        )
    if find_spec("torchao") is None:
        raise ValueError("--fp8 needs torchao; pip install 'sipo[quantize]'")
    for option, given in (
        (f"--quantize {quantize}", quantize != "no"),
        (f"--dtype {dtype}", dtype != "bfloat16"),
        ("--offload", offload),
    ):
        if given:
            raise ValueError(
                f"--fp8 is for a whole bfloat16 model on its card, and {option} was given; leave "
                "one of the two out"
            )


def speed_up(backbone: Backbone, sampler: Sampler) -> None:
    """Of a backbone in its place and with its weights, whose hash was taken: fp8 changes it.

    Raises ValueError for a cache that the family does not have.
    """
    for denoiser in backbone.denoisers().values():
        if sampler.fp8:
            _to_fp8(denoiser)
        if sampler.cache is not None:
            _cache_steps(backbone, denoiser, sampler.cache)
        if sampler.compile:
            _compile_blocks(denoiser)


def _compile_blocks(denoiser: ModelMixin) -> None:
    """Block by block, which compiles each kind once: names of weights stay."""
    denoiser._repeated_blocks = names_of_blocks(denoiser)
    denoiser.compile_repeated_blocks()


def _cache_steps(backbone: Backbone, denoiser: ModelMixin, cache: str) -> None:
    if not backbone.step_caches:
        raise ValueError(
            f"--cache {cache} is nothing that diffusers has for {backbone.name!r} (family "
            f"{backbone.family}), as it has for FLUX, Qwen-Image, CogVideoX and Wan; leave it out"
        )
    kind, _, number = cache.partition("=")
    config: FirstBlockCacheConfig | TaylorSeerCacheConfig
    if kind == "first-block":
        config = FirstBlockCacheConfig(threshold=float(number))
    else:
        config = TaylorSeerCacheConfig(
            cache_interval=int(number),
            taylor_factors_dtype=denoiser.dtype,
            cache_identifiers=[_ATTENTION],
        )
    if denoiser.is_cache_enabled:
        denoiser.disable_cache()
    denoiser.enable_cache(config)


def _to_fp8(denoiser: ModelMixin) -> None:
    """Weights and activations of the blocks' linear layers, one scale a tensor."""
    from torchao.quantization import Float8DynamicActivationFloat8WeightConfig, quantize_

    for block in blocks_of(denoiser):
        quantize_(block, Float8DynamicActivationFloat8WeightConfig(), _takes_fp8)


def _takes_fp8(layer: nn.Module, name: str) -> bool:
    """A LoRA's own matrices are small and stay as they are."""
    if not isinstance(layer, nn.Linear) or "lora_" in name:
        return False
    return layer.in_features % FP8_MULTIPLE == layer.out_features % FP8_MULTIPLE == 0


def _has_compiler(device: torch.device) -> bool:
    """What torch's inductor needs: C++ for a CPU, Triton (and C++ for its launchers) for a card."""
    compilers = [os.environ.get("CXX", "g++"), "clang++"]
    triton = device.type == "cpu" or find_spec("triton") is not None
    return triton and any(map(shutil.which, compilers))
