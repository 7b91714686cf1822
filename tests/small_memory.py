"""A backbone with little memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from sipo.backbones.base import Backbone, Generated, Sampler


class Small:
    """A backbone with memory for `most` pictures at a time."""

    def __init__(self, backbone: Backbone, most: int) -> None:
        self._backbone, self.most = backbone, most
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def sample(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler
    ) -> list[Generated]:
        self._fill(len(texts))
        return self._backbone.sample(texts, seeds, sampler)

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        self._fill(len(pixels))
        return self._backbone.encode_images(pixels)

    def _fill(self, count: int) -> None:
        self.sizes.append(count)
        if count > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
