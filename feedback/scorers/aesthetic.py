"""LAION's aesthetic predictor v2: a linear head on CLIP ViT-L/14, ratings 1 to 10, no text.

Source: christophschuhmann/improved-aesthetic-predictor, `simple_inference.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image

from sipo.common.devices import judge_device
from sipo.feedback.judge_weights import describe_file, load_tensors
from sipo.feedback.published_weights import VIT_L
from sipo.feedback.scorers.base import LinearHead, LinearScale, ScorerJudge
from sipo.feedback.scorers.clip import Clip, load_clip, require_quick_gelu

FILE = (
    "sac+logos+ava1-l14-linearMSE.pth from "
    "github.com/christophschuhmann/improved-aesthetic-predictor"
)
CENTER = 5.5  # middle of the ratings it was trained on


class Aesthetic:
    def __init__(self, clip: Clip, head: LinearHead, description: dict[str, object]) -> None:
        self._clip = clip
        self._head = head.float().eval().to(clip.model.device)
        self._description = description

    def describe(self) -> dict[str, object]:
        return {"id": "aesthetic", **self._description}

    @torch.inference_mode()
    def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
        scores: list[float] = self._head(self._clip.images(images)).tolist()
        return scores


def load_aesthetic(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    center: float = CENTER,
    clip: str = VIT_L,
    device: str = "auto",
) -> ScorerJudge:
    """`weights`: the head's file, which is on no model hub of its authors."""
    if weights is None:
        raise ValueError(
            f"judge 'aesthetic' has no weights of its own; give --judge-weights {FILE}"
        )
    if not Path(weights).is_file():
        raise ValueError(f"judge weights {str(weights)!r} are no file; give {FILE}")
    path = Path(weights)
    tensors = load_tensors(path)
    model, described = load_clip(clip, judge_device(device))
    require_quick_gelu(model.model.config.vision_config, clip)
    head = LinearHead(model.model.config.projection_dim)
    try:
        head.load_state_dict(tensors)
    except RuntimeError:
        raise ValueError(
            f"judge weights {str(path)!r} are no head for {described['weights']!r}; give the "
            "file that was trained on that CLIP"
        ) from None
    description = describe_file(path) | {"clip": described}
    return ScorerJudge(Aesthetic(model, head, description), LinearScale(center, 1.0, 10.0))
