"""A clip and its sound in one tensor, as candidates and pairs are kept.

(C, F + S, H, W): the clip's F frames, then S frames that hold its sound place by place, filled up
with zeros.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad


@dataclass(frozen=True)
class ClipAndSound:
    frame_step: int  # frames of a clip that a latent one stands for
    fps: int
    sampling_rate: int  # of the sound, a second
    hop_length: int  # of its spectrogram
    sound_step: int  # columns of it that a latent stands for

    @classmethod
    def of_denoiser(cls, config: Any, fps: int) -> ClipAndSound:
        """By its config.json."""
        sound = config.audio_sampling_rate, config.audio_hop_length, config.audio_scale_factor
        return cls(int(config.vae_scale_factors[0]), fps, *sound)

    @classmethod
    def of_autoencoders(cls, pipeline: Any, fps: int) -> ClipAndSound:
        """By the pipeline's, which its call goes by."""
        sound_step = pipeline.audio_vae_temporal_compression_ratio
        sound = pipeline.audio_sampling_rate, pipeline.audio_hop_length, sound_step
        return cls(pipeline.vae_temporal_compression_ratio, fps, *sound)

    def sounds(self, frames: int) -> int:
        """Latents of sound beside F latent frames, as LTX-2's pipeline counts them."""
        seconds = ((frames - 1) * self.frame_step + 1) / self.fps
        return round(seconds * (self.sampling_rate / self.hop_length / self.sound_step))

    def parts(self, shape: Sequence[int]) -> tuple[int, int]:
        """Latent frames of the clip, and latents of sound, in the shape (..., C, F + S, H, W).

        Raises ValueError for a number of frames that no clip has with its sound.
        """
        *_, both, height, width = shape
        for frames in range(both, 0, -1):  # at most one fits: both parts grow with F
            if frames + ceil(self.sounds(frames) / (height * width)) == both:
                return frames, self.sounds(frames)
        raise ValueError(
            f"latents of {both} frames, {height} x {width}, are no clip with its sound; sample or "
            "import them with this backbone"
        )

    def split(self, latents: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Frames (B, C, F, H, W), sound (B, L, C) and what fills it up (B, rest, C)."""
        frames, sounds = self.parts(latents.shape)
        rest = latents[:, :, frames:].flatten(2).transpose(1, 2)
        return latents[:, :, :frames], rest[:, :sounds], rest[:, sounds:]


def joined(clip: Tensor, sound: Tensor) -> Tensor:
    """Frames (B, C, F, H, W) and sound (B, L, C) -> (B, C, F + S, H, W)."""
    size = clip.shape[-2:]
    rest = pad(sound.transpose(1, 2), (0, -sound.shape[1] % prod(size)))
    return torch.cat([clip, rest.reshape(*rest.shape[:2], -1, *size)], dim=2)
