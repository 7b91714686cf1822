"""The independent evaluator: from the maps of centernet_network.py to boxes and verdicts.

Shapes: B images, N classes, M cells a side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from sipo.feedback.detectors.base import Colored, in_image, judge_all, letterbox, with_colors
from sipo.feedback.detectors.centernet_network import STRIDE, CenterNet
from sipo.feedback.detectors.color import ColorNamer, PixelColor
from sipo.feedback.detectors.embedded_folder import read_detector
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.feedback.rule.verdict import Verdict
from sipo.weights import weights_folder

MAX_PEAKS = 64


class CenterNetJudge:
    """The evaluator. Its boxes carry the tint that its own head reads.

    Where that says "in its own colours", which is no name, the pixels have it, if it is asked.
    """

    def __init__(
        self,
        model: CenterNet,
        vocabulary: Sequence[str],
        colors: Sequence[str],
        *,
        description: Mapping[str, object],
        thresholds: Mapping[str, float],
        image_px: int,
        color: ColorNamer | None = None,
    ) -> None:
        self.vocabulary = tuple(vocabulary)
        self.colors = tuple(colors)
        self.thresholds: Mapping[str, float] = dict(thresholds)
        self.image_px = image_px
        self._description = dict(description)
        self._color = color or PixelColor()
        self._model = model.float().eval()

    def describe(self) -> dict[str, object]:
        return {
            "id": "mini-evaluator",
            **self._description,
            "thresholds": dict(self.thresholds),
            "image_px": self.image_px,
            "color": {"id": "own head", "untinted": self._color.describe()},
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_all(self, images, prompts)

    @torch.inference_mode()
    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        """All boxes have their tint: it comes with the maps."""
        pixels, scales = letterbox(images, self.image_px)
        maps = self._model(pixels)
        if not all(torch.isfinite(part).all() for part in vars(maps).values()):
            raise FloatingPointError("the detector's output is not finite")
        color = maps.colors.argmax(1)  # (B, M, M)
        found: list[list[Box]] = [[] for _ in images]
        for b, score, name, y, x in peaks(maps.heat, floor):
            xyxy = cast(Xyxy, in_image(box_at(maps.sides[b], y, x), scales[b], images[b]))
            seen = int(color[b, y, x])
            tint = self.colors[seen] if seen < len(self.colors) else None
            found[b].append(Box(self.vocabulary[name], score, xyxy, tint))
        return with_colors(self._color, images, found, colored)


def peaks(heat: Tensor, floor: float) -> list[tuple[int, float, int, int, int]]:
    """(B, N, M, M) logits -> (image, score, class, y, x) of the cells no neighbour exceeds.

    At most MAX_PEAKS an image. Source: Zhou et al. 2019, section 4.
    """
    scores = heat.sigmoid()
    top = (F.max_pool2d(scores, 3, stride=1, padding=1) == scores) & (scores >= floor)
    kept = (scores * top).flatten(1).topk(MAX_PEAKS)
    _, _, height, width = heat.shape
    return [
        (b, score, cell // (height * width), cell % (height * width) // width, cell % width)
        for b, (row, cells) in enumerate(
            zip(kept.values.tolist(), kept.indices.tolist(), strict=True)
        )
        for score, cell in zip(row, cells, strict=True)
        if score > 0
    ]


def box_at(sides: Tensor, y: int, x: int) -> Xyxy:
    """(4, M, M) distances -> the box of cell (y, x) in the network's pixels."""
    left, top, right, bottom = sides[:, y, x].tolist()
    center_x, center_y = (x + 0.5) * STRIDE, (y + 0.5) * STRIDE
    return (center_x - left, center_y - top, center_x + right, center_y + bottom)


def load_centernet(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    thresholds: Mapping[str, float] | None = None,
) -> CenterNetJudge:
    """The embedded evaluator (`weights` None), or a folder of the same form.

    Raises ValueError for missing weights and for a class that it does not know.
    """
    folder = weights_folder("evaluator") if weights is None else Path(weights)
    config, tensors, description = read_detector(folder, vocabulary, "evaluator weights")
    model = CenterNet(len(config.classes), len(config.colors))
    model.load_state_dict(tensors, strict=True)
    return CenterNetJudge(
        model,
        config.classes,
        config.colors,
        description=description,
        thresholds=config.thresholds | dict(thresholds or {}),
        image_px=config.image_px,
    )
