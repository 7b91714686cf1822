"""Labelled scenes as mini-sd draws them: noise is laid over a rendered scene and taken away again.

A detector that has only seen renderings misses what a diffusion model smears. Where things stand is
decided above the noise that is added here (SDEdit, Meng et al. 2021), so the boxes stay true.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from numpy.typing import NDArray
from torch import Tensor

from sipo.common.devices import autocast
from sipo.common.pictures.tensors import to_pixels, to_tensor
from sipo.mini.train.labelled_scenes import labelled_scenes
from sipo.mini.world import Scene, depict, render

BATCH, STEPS = 50, 12
FIRST_STEPS = range(7, 11)  # of 12: the noise of t = 416 to 166
GUIDANCE = 1.5
Pixels = NDArray[np.uint8]


def redrawn_scenes(pipeline: Path, seed: int, count: int) -> list[Scene]:
    """Half of them obey their prompt, which the model is told; the others may be anything, and it
    is told nothing. A function of its arguments and the weights.
    """
    redraw = redrawing(pipeline, seed)
    rng = np.random.default_rng((seed, 3))
    stream = labelled_scenes(seed)
    done: list[Scene] = []
    while len(done) < count:
        drawn = list(islice(stream, BATCH))
        texts = None
        if len(done) // BATCH % 2:
            drawn = [render(depict(one.prompt), one.prompt, rng) for one in drawn]
            texts = [one.prompt.text for one in drawn]
        pixels = redraw([one.image for one in drawn], texts)
        done += [replace(one, image=image) for one, image in zip(drawn, pixels, strict=True)]
    return done[:count]


Redraw = Callable[[list[Pixels], list[str] | None], list[Pixels]]
"""At most `BATCH` images, and the texts the model is told, None: nothing."""


def redrawing(pipeline: Path, seed: int) -> Redraw:
    """By the model in `pipeline`, with noise of its own each time it is called."""
    pipe = StableDiffusionPipeline.from_pretrained(pipeline)
    scheduler, scale = pipe.scheduler, pipe.vae.config.scaling_factor
    rng = np.random.default_rng((seed, 4))

    @torch.inference_mode()
    def redraw(images: list[Pixels], texts: list[str] | None) -> list[Pixels]:
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))
        first = int(rng.choice(FIRST_STEPS))
        scheduler.set_timesteps(STEPS)
        with autocast():
            clean = pipe.vae.encode(to_tensor(np.stack(images))).latent_dist.mean.float() * scale
            noise = torch.randn(clean.shape, generator=chance)
            start = scheduler.timesteps[first].expand(len(images))
            latents = scheduler.add_noise(clean, noise, start)
            empty = _embedded(pipe, [""] * len(images))
            told = None if texts is None else _embedded(pipe, texts)
            scheduler.set_begin_index(first)
            for t in scheduler.timesteps[first:]:
                velocity = pipe.unet(latents, t, empty).sample.float()
                if told is not None:
                    velocity += GUIDANCE * (pipe.unet(latents, t, told).sample.float() - velocity)
                latents = scheduler.step(velocity, t, latents).prev_sample
            return list(to_pixels(pipe.vae.decode(latents / scale).sample.float()))

    return redraw


def _embedded(pipe: StableDiffusionPipeline, texts: list[str]) -> Tensor:
    ids = pipe.tokenizer(texts, padding="max_length", truncation=True, return_tensors="pt")
    hidden: Tensor = pipe.text_encoder(ids.input_ids)[0]
    return hidden
