"""Whether this machine can have a GPU at all, told without torch, which takes seconds to import."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path


def check_device(device: str, option: str = "--device") -> None:
    """Raises ValueError for a CUDA device where there is no driver. torch says the rest."""
    if device.startswith("cuda") and not may_have_card():
        raise ValueError(
            f"{option} {device!r} cannot be used (there is no driver of a GPU here); try 'cpu'"
        )


def may_have_card() -> bool:
    """By NVIDIA's driver library or AMD's kernel driver; True where that says nothing."""
    if sys.platform != "linux":
        return True
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Path("/dev/kfd").exists()
    return True
