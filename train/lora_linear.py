"""A linear layer's LoRA with fewer passes over the layer's output than peft's own takes.

peft makes B A x, scales it and adds it to W x: three tensors of the output's size, and more in the
backward pass. `addmm` adds the product while it is made. In float32 the bits are the same.
"""

from __future__ import annotations

from typing import cast

import torch
from peft.tuners import lora
from torch import Tensor, nn
from torch.nn.functional import linear


class LoraLinear(lora.Linear):  # type: ignore[misc]
    """W x + s B A x of the one active adapter; as peft makes them ours have no dropout, no bias."""

    def forward(self, x: Tensor, *args: object, **kwargs: object) -> Tensor:
        [adapter] = self.active_adapters
        if self.disable_adapters or adapter not in self.lora_A:
            return cast(Tensor, self.base_layer(x))
        down, up = (half[adapter].weight for half in (self.lora_A, self.lora_B))
        result = self.base_layer(x)
        inside = linear(self._cast_input_dtype(x, down.dtype), down)
        if inside.dtype != result.dtype:  # a base in half precision outside of autocast
            return cast(Tensor, super().forward(x))
        rows = result.flatten(0, -2), inside.flatten(0, -2)
        return torch.addmm(*rows, up.t(), alpha=self.scaling[adapter]).view_as(result)


def use_fewer_passes(network: nn.Module) -> None:
    """In all plain linear layers that have a LoRA; quantised ones and convolutions keep peft's."""
    for module in network.modules():
        if type(module) is lora.Linear and type(module.base_layer) is nn.Linear:
            module.__class__ = LoraLinear
