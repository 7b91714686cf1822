"""Pixels as diffusion models take them, and back."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def to_tensor(pixels: NDArray[np.uint8]) -> Tensor:
    """(..., height, width, 3) uint8 -> (..., 3, height, width) float32 in [-1, 1]."""
    return torch.from_numpy(pixels).movedim(-1, -3).float() / 127.5 - 1


def to_pixels(tensor: Tensor) -> NDArray[np.uint8]:
    """The inverse; what lies outside of [-1, 1] is clamped."""
    bytes_ = ((tensor + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)
    pixels: NDArray[np.uint8] = bytes_.movedim(-3, -1).numpy()
    return pixels
