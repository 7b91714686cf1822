"""What a family that edits has beside the convention: a picture that comes with the prompt.

Before and after have one frame: a picture is cropped in its middle to the proportions of the
result and scaled to its size, so that conditioning has rows of one shape.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from sipo.backbones.base import Backbone, Conditioning, Generated, Sampler
from sipo.common.pictures.tensors import to_tensor

BEFORE = "before"
"""In the conditioning of an edit: the clean latents of its picture, scaled as all latents are."""


class Editor(Backbone, ABC):
    """A backbone that may be given a picture with each text; without it makes images of texts."""

    @abstractmethod
    def encode_before(self, pictures: Sequence[Image.Image], sampler: Sampler) -> Conditioning:
        """What the denoiser takes of B pictures, for results of that sampler's size; goes beside
        `encode_prompts` of their texts. On the device, without gradient."""

    @abstractmethod
    def edit(
        self,
        texts: Sequence[str],
        pictures: Sequence[Image.Image],
        seeds: Sequence[int],
        sampler: Sampler,
    ) -> list[Generated]:
        """As `sample`, each text with its picture."""


def require_editor(backbone: Backbone) -> Editor:
    """Raises ValueError for a backbone that takes no picture."""
    if not isinstance(backbone, Editor):
        raise ValueError(
            f"--backbone {backbone.name!r} takes no picture, and the prompts have one (before); "
            "give one that edits, as FLUX.1 Kontext, or prompts without pictures"
        )
    return backbone


def sample_or_edit(
    backbone: Backbone,
    texts: Sequence[str],
    pictures: Sequence[Image.Image | None],
    seeds: Sequence[int],
    sampler: Sampler,
) -> list[Generated]:
    """A candidate for each text, picture and seed: all texts have a picture, or none has.

    Raises ValueError for a mixture, and for pictures where the backbone takes none.
    """
    given = [picture for picture in pictures if picture is not None]
    if not given:
        return backbone.sample(texts, seeds, sampler)
    if len(given) < len(texts):
        raise ValueError("some prompts have a picture (before) and others none; give two files")
    return require_editor(backbone).edit(texts, given, seeds, sampler)


def without_text(conditioning: Conditioning, empty: Conditioning) -> Conditioning:
    """With the empty prompt's in place of the text's; a picture stays."""
    return {**conditioning, **empty}


def framed(picture: Image.Image, width: int, height: int) -> Image.Image:
    """In RGB, as the module has it; one of that size as it is."""
    rgb = picture.convert("RGB")
    if rgb.size == (width, height):
        return rgb
    return ImageOps.fit(rgb, (width, height), Image.Resampling.LANCZOS)


def as_pixels(pictures: Sequence[Image.Image]) -> Tensor:
    """NCHW in [-1, 1], of pictures of one size."""
    return torch.stack([to_tensor(np.array(picture)) for picture in pictures])
