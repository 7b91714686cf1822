"""Tokens of images: of 2 x 2 latents, channels outermost in a token, as FLUX.1 and Qwen-Image take
them, or of one, as FLUX.2 and Qwen-Image 2.1 do."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import pixel_shuffle, pixel_unshuffle

from sipo.backbones.pipeline import PATCH


def pack(latents: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H/2 W/2, 4C)."""
    return flat(pixel_unshuffle(latents, PATCH))


def unpack(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The other way: (B, rows columns, 4C) -> (B, C, 2 rows, 2 columns)."""
    return pixel_shuffle(unflat(tokens, rows, columns), PATCH)


def flat(latents: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H W, C)."""
    return latents.flatten(2).transpose(1, 2)


def unflat(tokens: Tensor, rows: int, columns: int) -> Tensor:
    """The other way."""
    return tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)
