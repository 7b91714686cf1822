"""A LoRA in the names of kohya's scripts, which ComfyUI, A1111 and others load.

UNets keep diffusers' names with underscores (diffusers' own converter). FLUX has the names of its
first code, in which query, key and value, and the MLP of single blocks, are one layer: their LoRAs
become one of as many ranks together, B in blocks, so that the update is the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

UNETS = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")
FLUX = "FluxPipeline"
FAMILIES = (*UNETS, FLUX)
"""Pipelines whose LoRAs diffusers reads back from this form, so that each file can be checked."""
_MLP = 4  # times the width is what a block's MLP has
_BLOCK = re.compile(r"(single_)?transformer_blocks\.(\d+)\.(.+)")
_ALONE = {
    "norm1.linear": "img_mod.lin",
    "norm1_context.linear": "txt_mod.lin",
    "attn.to_out.0": "img_attn.proj",
    "attn.to_add_out": "txt_attn.proj",
    "ff.net.0.proj": "img_mlp.0",
    "ff.net.2": "img_mlp.2",
    "ff_context.net.0.proj": "txt_mlp.0",
    "ff_context.net.2": "txt_mlp.2",
}
_ALONE_IN_SINGLE = {"norm.linear": "modulation.lin", "proj_out": "linear2"}
_TOGETHER = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
}
_TOGETHER_IN_SINGLE = {"linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")}


@dataclass(frozen=True)
class Update:
    """scale * B A of a layer: A (rank, in), B (out, rank)."""

    down: Tensor
    up: Tensor
    scale: float


Updates = dict[str, Update]
"""By diffusers' names of layers."""


def updates_of(tensors: Mapping[str, Tensor], config: Mapping[str, object]) -> Updates:
    """From peft's names. Raises ValueError for what has no place in kohya's form."""
    if config.get("rank_pattern") or config.get("alpha_pattern") or config.get("use_dora"):
        raise ValueError("its layers have ranks or alphas of their own, or are a DoRA")
    found: Updates = {}
    for name, down in tensors.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removesuffix(".lora_A.weight")
            rank = len(down)
            alpha = config.get("lora_alpha", rank)
            assert isinstance(alpha, int | float)
            scale = alpha / rank**0.5 if config.get("use_rslora") else alpha / rank
            found[layer] = Update(down, tensors[f"{layer}.lora_B.weight"], scale)
        elif not name.endswith(".lora_B.weight"):
            raise ValueError(f"its tensor {name!r} is none of a plain LoRA")
    return found


def to_kohya(updates: Updates, pipeline: str) -> dict[str, Tensor]:
    """Raises ValueError for a family or a layer that this form has no name for."""
    if pipeline in UNETS:
        return _of_unet(updates)
    if pipeline == FLUX:
        return _of_flux(updates)
    raise ValueError(f"a {pipeline} has no such form here; it is written for {', '.join(FAMILIES)}")


def _of_unet(updates: Updates) -> dict[str, Tensor]:
    from diffusers.utils import convert_state_dict_to_kohya

    peft: dict[str, Tensor] = {}
    for layer, one in updates.items():
        peft[f"unet.{layer}.lora_A.weight"] = one.down
        peft[f"unet.{layer}.lora_B.weight"] = one.up
    found: dict[str, Tensor] = convert_state_dict_to_kohya(peft)
    scales = {f"lora_unet_{layer.replace('.', '_')}": one.scale for layer, one in updates.items()}
    for key, value in found.items():
        if key.endswith(".alpha"):
            found[key] = torch.tensor(float(value) * scales[key.removesuffix(".alpha")])
    return found


def _of_flux(updates: Updates) -> dict[str, Tensor]:
    blocks: dict[tuple[str, str], Updates] = {}
    for layer, one in updates.items():
        if (found := _BLOCK.fullmatch(layer)) is None:
            raise ValueError(f"its layer {layer!r} lies outside of FLUX's blocks")
        kind = "single_blocks" if found[1] else "double_blocks"
        blocks.setdefault((kind, found[2]), {})[found[3]] = one
    tensors: dict[str, Tensor] = {}
    for (kind, number), own in blocks.items():
        single = kind == "single_blocks"
        for name, one in _renamed(own, single).items():
            key = f"lora_unet_{kind}_{number}_{name.replace('.', '_')}"
            tensors[f"{key}.lora_down.weight"] = one.down.contiguous()
            tensors[f"{key}.lora_up.weight"] = one.up.contiguous()
            tensors[f"{key}.alpha"] = torch.tensor(one.scale * len(one.down))
    return tensors


def _renamed(own: Updates, single: bool) -> Updates:
    """Of a block."""
    alone = _ALONE_IN_SINGLE if single else _ALONE
    together = _TOGETHER_IN_SINGLE if single else _TOGETHER
    found = {alone[name]: one for name, one in own.items() if name in alone}
    for name, parts in together.items():
        if any(part in own for part in parts):
            found[name] = _joined([own.get(part) for part in parts])
    known = {*alone, *(part for parts in together.values() for part in parts)}
    if unknown := next((name for name in own if name not in known), None):
        raise ValueError(f"its layer {unknown!r} has no name in FLUX's first code")
    return found


def _joined(parts: Sequence[Update | None]) -> Update:
    """One update for layers whose rows follow one another; None is a layer that is not changed."""
    known = next(part for part in parts if part is not None)
    rank, width = known.down.shape
    downs, ups = [], []
    for place, part in enumerate(parts):
        rows = len(part.up) if part else width * (_MLP if place == 3 else 1)
        scale = part.scale / known.scale if part else 1.0
        down = part.down if part else torch.zeros(rank, width)
        if len(down) != rank:
            raise ValueError("layers that become one have LoRAs of different ranks")
        up = torch.zeros(rows, rank * len(parts))
        if part is not None:
            up[:, place * rank : (place + 1) * rank] = part.up.float() * scale
        downs.append(down.float())
        ups.append(up)
    return Update(torch.cat(downs), torch.cat(ups), known.scale)
