"""What the video families share: a candidate is a clip, its latents are (C, F, H, W)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor

from sipo.backbones.base import Conditioning, Generated, Sampler
from sipo.backbones.pipeline import PipelineBackbone, fault_in
from sipo.common.pictures.faults import spoiled

Frames = tuple[Image.Image, ...]


class VideoBackbone(PipelineBackbone):
    """A clip has 1 + a multiple of `frame_step` frames."""

    fps: int
    frame_step: int
    text_length: int | None = None  # tokens that its call is asked for; None: it has its own

    @torch.no_grad()
    def encode_prompts(self, texts: Sequence[str]) -> Conditioning:
        embeddings, _ = self._whole.encode_prompt(
            list(texts),
            do_classifier_free_guidance=False,
            max_sequence_length=self.text_length,
            device=self._device,
        )
        return {"encoder_hidden_states": embeddings}

    def decode_latents(self, latents: Tensor) -> list[Image.Image]:
        return [clip[len(clip) // 2] for clip in self.decode_clips(latents)]

    @torch.no_grad()
    def decode_clips(self, latents: Tensor) -> list[Frames]:
        """(B, C, F, H, W) -> B clips, decoded one after the other: frames need much memory."""
        clips = []
        for row in latents:
            pixels = self._decode(row[None])
            [frames] = self._whole.video_processor.postprocess_video(pixels.nan_to_num(), "pil")
            fault = fault_in(row, pixels)
            clips.append(tuple(spoiled(frame, fault) for frame in frames))
        return clips

    def _for_vae(self, values: Tensor) -> Tensor:
        """In the VAE's dtype, where it computes: with offloading it waits elsewhere until then."""
        return values.to(self._device, self._whole.vae.dtype)

    def _decode(self, latents: Tensor) -> Tensor:
        """Scaled latents (1, C, F, H, W) -> pixels in [-1, 1] of the same order."""
        raise NotImplementedError

    def sized(self, sampler: Sampler) -> Sampler:
        self._check_frames(sampler.frames or 1)
        return super().sized(sampler)

    def sample(
        self, texts: Sequence[str], seeds: Sequence[int], sampler: Sampler
    ) -> list[Generated]:
        """As for images. Raises ValueError for a number of frames that the VAE cannot make."""
        sampler = self.sized(sampler)
        latents = self._sample_latents(texts, seeds, sampler)
        clips = self.decode_clips(latents)
        return [
            Generated(clip[len(clip) // 2], row.float().cpu(), clip)
            for clip, row in zip(clips, latents, strict=True)
        ]

    def _call_options(self, sampler: Sampler) -> dict[str, object]:
        asked = {
            "height": sampler.height,
            "width": sampler.width,
            "num_frames": sampler.frames,
            "max_sequence_length": self.text_length,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def _check_frames(self, frames: int) -> None:
        if beyond := (frames - 1) % self.frame_step:
            raise ValueError(
                f"--frames {frames} is not 1 + a multiple of {self.frame_step}, as {self.name!r} "
                f"makes them; give {frames - beyond} or {frames - beyond + self.frame_step}"
            )
