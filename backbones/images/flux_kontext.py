"""FLUX.1 Kontext (Black Forest Labs 2025): FLUX.1-dev that is shown a picture to change.

The picture's tokens follow those that are denoised, and say 1 where those say 0 in the first of
their three places (section 3 of the report, arXiv:2506.15742); what is said of them is dropped.
Without a picture it makes an image of the text, as its pipeline does.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from diffusers import FluxKontextPipeline
from PIL import Image
from torch import Tensor

from sipo.backbones.base import Conditioning, Generated, Sampler
from sipo.backbones.editing import BEFORE, Editor, as_pixels, framed
from sipo.backbones.images.flux import Flux


class FluxKontext(Flux, Editor):
    """The result has the size that is asked for, whereas the pipeline brings every size to one
    megapixel, and every picture to the nearest of 17 shapes of that."""

    family = "flux_kontext"
    pipeline_class = FluxKontextPipeline
    step_caches = False  # its pipeline does not tell them whose step it is

    def encode_before(self, pictures: Sequence[Image.Image], sampler: Sampler) -> Conditioning:
        return {BEFORE: self.encode_images(as_pixels(self._framed(pictures, sampler)))}

    def edit(
        self,
        texts: Sequence[str],
        pictures: Sequence[Image.Image],
        seeds: Sequence[int],
        sampler: Sampler,
    ) -> list[Generated]:
        sampler = self.sized(sampler)
        shown = self._framed(pictures, sampler)
        return self._generated(self._sample_latents(texts, seeds, sampler, image=shown))

    def _framed(self, pictures: Sequence[Image.Image], sampler: Sampler) -> list[Image.Image]:
        height, width = self._sides(sampler)
        return [framed(picture, width, height) for picture in pictures]

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        height, width = self._sides(sampler)
        area = {"max_area": height * width, "_auto_resize": False}
        return {"height": height, "width": width, **area}

    def _tokens(self, noisy: Tensor, conditioning: Conditioning) -> tuple[Tensor, Tensor]:
        tokens, places = super()._tokens(noisy, conditioning)
        if BEFORE not in conditioning:
            return tokens, places
        shown, there = super()._tokens(conditioning[BEFORE], conditioning)
        there[:, 0] = 1
        return torch.cat([tokens, shown], dim=1), torch.cat([places, there])
