"""Tokens of 2 x 2 latents, as FLUX and Qwen-Image take them, channels outermost in a token."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sipo.backbones.pipeline import PATCH


def pack(latents: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H/2 W/2, 4C)."""
    return pixel_unshuffle(latents, PATCH).flatten(2).transpose(1, 2)


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The other way: (B, rows columns, 4C) -> (B, C, 2 rows, 2 columns)."""
    channels = tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)
    return pixel_shuffle(channels, PATCH)
