"""The autoencoder of mini-sd: f4, 4 latent channels, on tinted scenes.

It sets the ceiling of everything after it: where tints blur, no policy can learn a colour. Most of
a scene is background, so two thirds of the steps see 32x32 crops around an object, at a quarter
of the cost; the network is convolutional throughout (no attention), and the rest sees whole scenes.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from torch import Tensor

from sipo.common.devices import autocast
from sipo.common.pictures.tensors import to_tensor
from sipo.mini.captions import scenes
from sipo.mini.train.step_loop import one_cycle, run_steps
from sipo.mini.world import SIZE_PX, Scene

CROP_PX = 32
PEAK_LR = 1.5e-3
CROP_BATCH, FULL_BATCH = 48, 16
KL_WEIGHT = 1e-5


def new_vae() -> AutoencoderKL:
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(32, 64, 64),
        layers_per_block=1,
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIZE_PX,
        mid_block_add_attention=False,
    )


def train_vae(out: Path, steps: int = 2100, seed: int = 0) -> None:
    torch.manual_seed(seed)
    vae = new_vae().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(
        vae.parameters(), lr=PEAK_LR, betas=(0.9, 0.99), weight_decay=1e-4
    )
    crops_until = steps * 2 // 3

    def step(k: int) -> dict[str, float]:
        torch.manual_seed(seed * 1_000_003 + k)
        rng = np.random.default_rng((seed, k))
        stream = scenes(seed * 1_000_003 + k)
        if k < crops_until:
            batch = [_crop(scene, rng) for scene in itertools.islice(stream, CROP_BATCH)]
        else:
            batch = [scene.image for scene in itertools.islice(stream, FULL_BATCH)]
        pixels = to_tensor(np.stack(batch))
        with autocast():
            posterior = vae.encode(pixels).latent_dist
            decoded = vae.decode(posterior.sample()).sample.float()
        kl = posterior.kl().float().mean() / posterior.mean[0].numel()
        l1, edges = (decoded - pixels).abs().mean(), _edge_error(decoded, pixels)
        (l1 + edges + KL_WEIGHT * kl).backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.param_groups[0]["lr"] = PEAK_LR * one_cycle(k, steps)
        optimizer.step()
        optimizer.zero_grad()
        mse = F.mse_loss(decoded.detach(), pixels)
        return {"l1": l1.item(), "edges": edges.item(), "kl": kl.item(), "mse": mse.item()}

    run_steps(out, {"vae": vae, "optimizer": optimizer}, steps, step)
    normalize_latents(vae, seed)
    vae.save_pretrained(out / "vae")


def _crop(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    box = scene.boxes[rng.integers(len(scene.boxes))].xyxy
    center = [(box[i] + box[i + 2]) / 2 + rng.uniform(-10, 10) - CROP_PX / 2 for i in (0, 1)]
    left, top = (int(np.clip(c, 0, SIZE_PX - CROP_PX)) for c in center)
    return scene.image[top : top + CROP_PX, left : left + CROP_PX]


def _edge_error(a: Tensor, b: Tensor) -> Tensor:
    """L1 between the images' differences of neighbours: what L1 alone leaves blurry."""
    return sum(
        ((a.diff(dim=d) - b.diff(dim=d)).abs().mean() for d in (-1, -2)), start=torch.zeros(())
    )


@torch.no_grad()
def normalize_latents(vae: AutoencoderKL, seed: int) -> None:
    """Zero mean and unit variance per latent channel, folded into the 1x1 convolutions.

    Latent diffusion scales all channels by one factor (Rombach et al. 2022, G). Ours differ by a
    factor of two in spread and by more in mean; after this the factor is 1. Decoding is unchanged.
    """
    stream = itertools.islice(scenes(seed + 1), 512)
    pixels = to_tensor(np.stack([scene.image for scene in stream]))
    latents = vae.encode(pixels).latent_dist.mean
    mean, std = latents.mean((0, 2, 3)), latents.std((0, 2, 3))
    moments, entry = vae.quant_conv, vae.post_quant_conv
    channels = len(mean)
    moments.weight[:channels] /= std[:, None, None, None]
    moments.bias[:channels] = (moments.bias[:channels] - mean) / std
    moments.bias[channels:] -= 2 * std.log()  # log-variances
    entry.bias += entry.weight[:, :, 0, 0] @ mean
    entry.weight *= std[:, None, None]
    vae.register_to_config(scaling_factor=1.0)
