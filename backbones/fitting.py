"""Sampling and encoding as many at a time as memory takes: a candidate depends on its own seed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from sipo.backbones.base import Backbone, Generated, Sampler
from sipo.backbones.editing import sample_or_edit
from sipo.common.fitting_batches import in_fitting_batches


def sample_fitting(
    backbone: Backbone,
    texts: Sequence[str],
    seeds: Sequence[int],
    sampler: Sampler,
    pictures: Sequence[Image.Image | None] = (),
) -> list[Generated]:
    """`backbone.sample`, or `edit` where the texts have pictures, in halves where memory runs out;
    ValueError where one is too many."""

    def sample(asked: Sequence[tuple[str, int, Image.Image | None]]) -> list[Generated]:
        return sample_or_edit(
            backbone,
            [text for text, _, _ in asked],
            [picture for _, _, picture in asked],
            [seed for _, seed, _ in asked],
            sampler,
        )

    size = f" --height {sampler.height} --width {sampler.width}" if sampler.height else ""
    remedy = "give --offload, a smaller --height and --width, --dtype bfloat16, or --quantize int8"
    asked = list(zip(texts, seeds, pictures or [None] * len(texts), strict=True))
    at_most = 1 if sampler.alone else None
    return in_fitting_batches(
        backbone, sample, asked, "sampling", f"--batch-size 1{size}", remedy, at_most
    )


def encode_fitting(backbone: Backbone, pixels: Sequence[Tensor]) -> list[Tensor]:
    """Latents of each picture, float32 on the CPU; otherwise as `sample_fitting`."""

    def encode(some: Sequence[Tensor]) -> list[Tensor]:
        return list(backbone.encode_images(torch.stack(list(some))).float().cpu())

    remedy = "import at a smaller --resolution, or give --device cpu"
    return in_fitting_batches(backbone, encode, pixels, "encoding", "--batch-size 1", remedy)
