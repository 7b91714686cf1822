"""The UNet's training set: captioned scenes encoded once, in chunks of one file each."""

from __future__ import annotations

import itertools
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPTokenizer

from sipo.common.devices import autocast
from sipo.common.pictures.tensors import to_tensor
from sipo.mini.captions import scenes
from sipo.mini.train.layout_reader import cells

CHUNK = 2000
BATCH = 50


@dataclass(frozen=True)
class EncodedScenes:
    """`latents` (N, 4, 16, 16) float16, scaled; `tokens` (N, L) int64; `cells` (N, 2, 8, 8)."""

    latents: Tensor
    tokens: Tensor
    cells: Tensor


def encode_chunk(
    folder: Path,
    number: int,
    vae: AutoencoderKL,
    tokenizer: CLIPTokenizer,
    seed: int,
    noise: float,
) -> None:
    """Chunk `number` is a function of (vae, seed, noise, number). Done when its file stands."""
    path = folder / f"chunk-{number:03d}.safetensors"
    if path.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    stream = scenes(seed * 1_000_003 + 500_000 + number, noise)
    rows = list(itertools.islice(stream, CHUNK))
    latents = []
    for first in range(0, CHUNK, BATCH):
        pixels = to_tensor(np.stack([row.image for row in rows[first : first + BATCH]]))
        with torch.no_grad(), autocast():
            mean = vae.encode(pixels).latent_dist.mean.float()
        latents.append((mean * vae.config.scaling_factor).half())
    tokens = tokenizer(
        [row.prompt.text for row in rows],
        padding="max_length",
        truncation=True,
        return_tensors="pt",
    ).input_ids
    layouts = torch.from_numpy(np.stack([cells(row) for row in rows]))
    encoded = {"latents": torch.cat(latents).contiguous(), "tokens": tokens, "cells": layouts}
    save_file(encoded, f"{path}.tmp")
    os.replace(f"{path}.tmp", path)


def load_chunks(folder: Path, count: int) -> EncodedScenes:
    chunks = [load_file(folder / f"chunk-{n:03d}.safetensors") for n in range(count)]
    return EncodedScenes(
        *(torch.cat([c[name] for c in chunks]) for name in ("latents", "tokens", "cells"))
    )
