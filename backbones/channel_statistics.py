"""Latents normalised channel by channel, where an autoencoder's configuration says by what."""

from __future__ import annotations

import torch
from diffusers import ModelMixin
from torch import Tensor


def channel_statistics(vae: ModelMixin, device: torch.device) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the latents, (1, C, 1, 1, 1), in the autoencoder's dtype."""
    mean, std = (
        torch.tensor(values, dtype=torch.float64).to(device, vae.dtype).view(1, -1, 1, 1, 1)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    return mean, std
