"""Where a backbone computes."""

from __future__ import annotations

import torch
from torch import nn

from sipo.backbones.base import Backbone
from sipo.common.devices import keep_freed_memory, use_tensor_cores


def place(backbone: Backbone, device: torch.device, offload: bool) -> None:
    """All of it on the device or, with `offload`, only the model that computes."""
    keep_freed_memory(device)
    use_tensor_cores(device)
    for network in backbone.denoisers().values():
        lay_out(network, device)
    if not offload:
        backbone.to(device)
        return
    if device.type == "cpu":
        raise ValueError("--offload moves models off a GPU, and --device is 'cpu'; leave it out")
    backbone.offload(device)


def lay_out(denoiser: nn.Module, device: torch.device) -> None:
    """A UNet's convolutions on a card take channels last, which is how its tensor cores read them
    (https://docs.pytorch.org/tutorials/intermediate/memory_format_tutorial.html).
    """
    if device.type != "cpu" and any(isinstance(part, nn.Conv2d) for part in denoiser.modules()):
        denoiser.to(memory_format=torch.channels_last)
