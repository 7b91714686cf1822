"""A LoRA of a tiny pipeline in the layouts of several tools, and what plain arithmetic makes of it.

A layer's update is (component, layer) -> A (r, in), B (out, r) and a scale.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

Tensors = dict[str, Tensor]
NEAR = 2  # of 255


@dataclass(frozen=True)
class Update:
    component: str
    layer: str
    down: Tensor
    up: Tensor
    alpha: float

    @property
    def delta(self) -> Tensor:
        rank = len(self.down)
        product = self.up.flatten(1) @ self.down.flatten(1) * (self.alpha / rank)
        return product


def updates(
    pipeline: Any,
    component: str,
    ends: tuple[str, ...],
    rank: int = 2,
    alpha: float | None = None,
    by: float = 1.0,
) -> list[Update]:
    """Random ones for the linear layers whose names end so; `by` makes them larger."""
    chance = torch.Generator().manual_seed(len(component))
    found = []
    for name, module in getattr(pipeline, component).named_modules():
        if isinstance(module, nn.Linear) and name.endswith(ends):
            down = torch.randn(rank, module.in_features, generator=chance) * 0.3 * by
            up = torch.randn(module.out_features, rank, generator=chance) * 0.3 * by
            found.append(Update(component, name, down, up, rank if alpha is None else alpha))
    assert found
    return found


@contextmanager
def merged(pipeline: Any, changed: list[Update]) -> Iterator[None]:
    """Inside, the pipeline has W + s B A for W: no LoRA code has a part in it."""
    kept = []
    for one in changed:
        weight = getattr(pipeline, one.component).get_submodule(one.layer).weight
        kept.append((weight, weight.data))
        weight.data = weight.data + one.delta.view_as(weight)
    yield
    for weight, before in kept:
        weight.data = before


def write(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in tensors.items()}, path, metadata)
    return path


def diffusers_names(changed: list[Update], prefix: str = "{component}.") -> Tensors:
    """`prefix` may also be "" or "base_model.model."."""
    made: Tensors = {}
    for one in changed:
        name = prefix.format(component=one.component) + one.layer
        made |= {f"{name}.lora_A.weight": one.down, f"{name}.lora_B.weight": one.up}
    return made


def kohya_names(changed: list[Update], prefixes: Mapping[str, str]) -> Tensors:
    """With alphas, as sd-scripts writes them; text encoders with their `text_model`."""
    made: Tensors = {}
    for one in changed:
        layer = one.layer
        if one.component.startswith("text_encoder") and not layer.startswith("text_model."):
            layer = f"text_model.{layer}"
        name = prefixes[one.component] + layer.replace(".", "_")
        made |= {f"{name}.lora_down.weight": one.down, f"{name}.lora_up.weight": one.up}
        made[f"{name}.alpha"] = torch.tensor(float(one.alpha))
    return made


def near(one: Any, other: Any, within: int = NEAR) -> bool:
    """Whether two images differ by at most so many of 255 anywhere."""
    a, b = (np.asarray(image).astype(int) for image in (one, other))
    return bool(abs(a - b).max() <= within)
