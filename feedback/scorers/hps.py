"""HPSv2 and v2.1 (Wu et al. 2023): cos(image, text) of a tuned CLIP ViT-H/14; about 0.2 to 0.35.

Scores of the two versions are not comparable. Source: tgxs002/HPSv2, `hpsv2/img_score.py` and its
`open_clip/transform.py` (longest side to 224, bicubic, black around it).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from sipo.common.devices import judge_device
from sipo.feedback.judge_weights import describe_file, find_file, load_tensors
from sipo.feedback.published_weights import HPS, HPS_FILES, VIT_H
from sipo.feedback.scorers.base import ScorerJudge, SigmoidScale
from sipo.feedback.scorers.clip import MEAN, STD, Clip, load_processor
from sipo.feedback.scorers.open_clip_weights import clip_from_open_clip

CENTERS = {"hpsv2": 0.27, "hpsv2.1": 0.28}  # about what SD1.5 and SDXL are published with
SLOPE = 100.0  # CLIP's logit scale at its ceiling, with which it was trained


class Hps:
    def __init__(self, clip: Clip, description: dict[str, object]) -> None:
        self._clip = clip
        self._description = description
        self._side_px = int(clip.model.config.vision_config.image_size)

    def describe(self) -> dict[str, object]:
        return dict(self._description)

    @torch.inference_mode()
    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        pixels = torch.stack([padded_pixels(image, self._side_px) for image in images])
        scores: list[float] = self._clip.cosines(self._clip.pixels(pixels), texts).tolist()
        return scores


def padded_pixels(image: Image.Image, side_px: int) -> Tensor:
    """(3, S, S), normalised: the whole image, its shape kept, in the middle of black."""
    scale = side_px / max(image.size)
    width, height = (round(side * scale) for side in image.size)
    resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    canvas = Image.new("RGB", (side_px, side_px))
    canvas.paste(resized, ((side_px - width) // 2, (side_px - height) // 2))
    pixels = torch.from_numpy(np.array(canvas)).permute(2, 0, 1).float() / 255
    return (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]


def _loader(name: str) -> Callable[..., ScorerJudge]:
    def load(
        weights: str | Path | None,
        vocabulary: Sequence[str],
        *,
        center: float = CENTERS[name],
        processor: str = VIT_H,
        device: str = "auto",
    ) -> ScorerJudge:
        """`processor`: folder or hub id of the tokenizer of CLIP ViT-H/14."""
        path = find_file(weights, HPS, HPS_FILES[name])
        model = clip_from_open_clip(load_tensors(path), path)
        clip = Clip(model, *load_processor(processor), judge_device(device))
        return ScorerJudge(
            Hps(clip, {"id": name, **describe_file(path)}), SigmoidScale(center, SLOPE)
        )

    return load


load_hpsv2, load_hpsv21 = _loader("hpsv2"), _loader("hpsv2.1")
