"""Where a backbone computes."""

from __future__ import annotations

import ctypes
import sys

import torch

from sipo.backbones.base import Backbone

M_MMAP_MAX, M_TRIM_THRESHOLD = -4, -1  # malloc.h


def place(backbone: Backbone, device: torch.device, offload: bool) -> None:
    """All of it on the device or, with `offload`, only the model that computes."""
    keep_freed_memory(device)
    if not offload:
        backbone.to(device)
        return
    if device.type == "cpu":
        raise ValueError("--offload moves models off a GPU, and --device is 'cpu'; leave it out")
    backbone.offload(device)


def keep_freed_memory(device: torch.device) -> None:
    """On a CPU, let malloc keep what tensors free instead of mapping and clearing it each time.

    Measured once on mini-sd: 23.1 pairs/s in training against 18.7 (docs/log.md).
    """
    if device.type != "cpu" or sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc's
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)
