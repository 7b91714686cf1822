"""The frames of a clip that VideoReward sees. Source: KwaiVGI/VideoAlign, `vision_process.py`."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from sipo.common.pictures.picture import Clip, Picture
from sipo.feedback.scorers.qwen2_vl_reward import FACTOR

LEAST_PIXELS = 128 * FACTOR**2  # of a frame
LEAST_FRAMES, MOST_FRAMES, PAIR = 4, 768, 2  # frames go by pairs


def frames_of(clip: Picture, fps: float, most_pixels: int) -> Tensor:
    """(T, 3, H, W), uint8: `fps` frames a second, first and last among them, of its shape."""
    from torchvision.transforms.v2 import functional
    from transformers.models.qwen2_vl.video_processing_qwen2_vl import smart_resize

    if not isinstance(clip, Clip):
        raise ValueError("an image has no motion; 'videoalign' looks at clips")
    places = places_of(len(clip.frames), clip.fps, fps)
    stacked = np.stack([np.asarray(clip.frames[place].convert("RGB")) for place in places])
    frames = torch.from_numpy(stacked).permute(0, 3, 1, 2)
    size = smart_resize(*frames.shape[-2:], FACTOR, LEAST_PIXELS, most_pixels)
    bicubic = functional.InterpolationMode.BICUBIC
    resized: Tensor = functional.resize(frames, list(size), interpolation=bicubic, antialias=True)
    return resized


def places_of(length: int, clip_fps: float, fps: float) -> list[int]:
    """Evenly from the first to the last: an even number, from 4 on where the clip has as many."""
    most = min(MOST_FRAMES, length) // PAIR * PAIR
    if not most or not clip_fps > 0:
        raise ValueError(f"a clip of {length} frames at {clip_fps:g} a second shows no motion")
    wanted = min(max(length / clip_fps * fps, LEAST_FRAMES), most)
    count = round(wanted / PAIR) * PAIR
    places: list[int] = torch.linspace(0, length - 1, count).round().long().tolist()
    return places
