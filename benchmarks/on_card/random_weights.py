"""Networks of random weights, made on the card in the dtype asked for: nothing is copied there."""

from __future__ import annotations

from collections.abc import Callable

import torch
from accelerate import init_empty_weights
from diffusers import ModelMixin
from torch import nn

STD = 0.02  # of normal weights; scales and biases are 1 and 0


def made(make: Callable[[], nn.Module], dtype: torch.dtype, device: torch.device) -> nn.Module:
    """`make` gives shapes on the meta device; buffers are computed as the class computes them."""
    with init_empty_weights(include_buffers=False):
        network = make()
    keep = precise_names(network)
    for name, module in network.named_modules():
        for own, parameter in list(module.named_parameters(recurse=False)):
            whole = {*name.split("."), own} & set(keep)
            values = torch.empty_like(
                parameter, device=device, dtype=torch.float32 if whole else dtype
            )
            setattr(module, own, nn.Parameter(drawn(values, own), requires_grad=False))
        for own, buffer in list(module.named_buffers(recurse=False)):
            module._buffers[own] = buffer.to(device)
    if hasattr(network, "tie_weights"):
        network.tie_weights()  # an encoder's two names of one embedding
    return network.eval()


def precise_names(network: nn.Module) -> tuple[str, ...]:
    """Of modules that diffusers loads in float32 whatever is asked for."""
    names = getattr(network, "_keep_in_fp32_modules", None) or ()
    return tuple(names) if isinstance(network, ModelMixin) else ()


def drawn(values: torch.Tensor, name: str) -> torch.Tensor:
    if values.ndim > 1:
        return values.normal_(0, STD)
    return values.fill_(0.0 if name == "bias" else 1.0)
