"""PickScore (Kirstain et al. 2023): a CLIP ViT-H/14 fine-tuned on human choices; about 20 to 22.

Source: yuvalkirstain/PickScore, model card: exp(logit_scale) cos(image, text).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from sipo.common.devices import judge_device
from sipo.feedback.published_weights import PICKSCORE, VIT_H
from sipo.feedback.scorers.base import ScorerJudge, SigmoidScale
from sipo.feedback.scorers.clip import Clip, load_clip

CENTER = 21.0  # middle of what it gives to images of current models
SLOPE = 1.0  # it was trained by a softmax over two such scores


class PickScore:
    def __init__(self, clip: Clip, description: dict[str, object]) -> None:
        self._clip = clip
        self._description = description

    def describe(self) -> dict[str, object]:
        return {"id": "pickscore", **self._description}

    @torch.inference_mode()
    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        cosines = self._clip.cosines(self._clip.images(images), texts)
        scores: list[float] = (float(self._clip.model.logit_scale.exp()) * cosines).tolist()
        return scores


def load_pickscore(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    center: float = CENTER,
    processor: str = VIT_H,
    device: str = "auto",
) -> ScorerJudge:
    """`weights`: a folder or hub id, the published ones by default."""
    clip, description = load_clip(weights or PICKSCORE, judge_device(device), processor)
    return ScorerJudge(PickScore(clip, description), SigmoidScale(center, SLOPE))
