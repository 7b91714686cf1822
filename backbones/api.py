"""A model from Python: `sipo.load_backbone`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.errors import in_python_words

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone


def load_backbone(
    name: str | Path = "mini-sd",
    *,
    weights: str | Path | None = None,
    dtype: str = "float32",
    quantize: str = "no",
    device: str = "auto",
    offload: bool = False,
    expert: str = "",
) -> Backbone:
    """A model on its device, with a policy's weights where they are given.

    `name`: an embedded model, a diffusers folder or a hub id. `weights`: a run of `sipo-train`, a
    LoRA's .safetensors file, or its folder. `dtype`: "auto" (bfloat16 on a card that has it, else
    float32), "float32", "bfloat16" or "float16";
    `quantize`: "no", "nf4" or "int8", of the denoiser. `expert`: "high" or "low", the one to train
    of a model that has two. Raises ValueError for what cannot be loaded.
    """
    from sipo.backbones import registry
    from sipo.backbones.placement import place
    from sipo.common.devices import dtype_on, find_device

    with in_python_words():
        on = find_device(device)
        backbone = registry.load_backbone(
            str(name), weights, dtype=dtype_on(on, dtype), quantize=quantize, expert=expert
        )
        place(backbone, on, offload)
    return backbone
