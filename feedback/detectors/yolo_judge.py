"""YOLO-World as a judge (Cheng et al. 2024): one network, one vocabulary, one threshold a tag.

Nothing of ultralytics; what runs and loads the network is yolo_world.py. B images, N classes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import torch
from PIL import Image
from torch import Tensor

from sipo.feedback.detectors.base import (
    Colored,
    checked_iou,
    checked_thresholds,
    in_image,
    judge_all,
    letterbox,
    with_colors,
)
from sipo.feedback.detectors.color import ColorNamer, PixelColor
from sipo.feedback.detectors.embedded_folder import DetectorConfig
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.feedback.rule.verdict import Verdict

PUBLISHED_PX = 640
MAX_PX = 8192
PUBLISHED_THRESHOLDS = dict.fromkeys(TAGS, 0.1) | {"counting": 0.3}
"""A start for published weights, from their users' practice; calibrate on labelled images."""
NMS_IOU = 0.7  # ultralytics' default

Network = Callable[[Tensor, Tensor, float, float], list[Tensor]]
"""(B, 3, S, S) pixels, (1, N, 512) unit texts, least score, NMS's IoU -> rows an image.

A row is x1, y1, x2, y2, score, class. Raises FloatingPointError for what is not finite.
"""


def published_use(vocabulary: Sequence[str]) -> DetectorConfig:
    """How published weights are used unless told otherwise."""
    return DetectorConfig(
        classes=tuple(vocabulary),
        thresholds=PUBLISHED_THRESHOLDS,
        image_px=PUBLISHED_PX,
        nms_iou=NMS_IOU,
    )


class YoloWorldJudge:
    """Not to be shared between threads."""

    def __init__(
        self,
        network: Network,
        texts: Tensor,
        vocabulary: Sequence[str],
        *,
        description: Mapping[str, object],
        thresholds: Mapping[str, float] = PUBLISHED_THRESHOLDS,
        image_px: int = PUBLISHED_PX,
        nms_iou: float = NMS_IOU,
        color: ColorNamer | None = None,
    ) -> None:
        """`texts` (N, 512) are the embeddings of the N classes of `vocabulary`.

        `description` says where the weights come from. Raises ValueError for an `image_px` that is
        no multiple of 32, for an `nms_iou` that is no share and for a tag without threshold.
        """
        if image_px % 32 or not 0 < image_px <= MAX_PX:
            raise ValueError(
                f"image_px={image_px} must be a multiple of 32, YOLO's last stride, up to {MAX_PX}"
            )
        self.vocabulary = tuple(vocabulary)
        self.thresholds = checked_thresholds(thresholds)
        self.image_px = image_px
        self._nms_iou = checked_iou(nms_iou)
        self._description = dict(description)
        self._color = color or PixelColor()
        self._texts = torch.nn.functional.normalize(texts.float(), dim=-1)[None]
        self._network = network

    def describe(self) -> dict[str, object]:
        return {
            "id": "yolo-world",
            **self._description,
            "thresholds": dict(self.thresholds),
            "nms_iou": self._nms_iou,
            "image_px": self.image_px,
            "color": self._color.describe(),
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_all(self, images, prompts)

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        pixels, scales = letterbox(images, self.image_px)
        found = self._network(pixels, self._texts, floor, self._nms_iou)
        boxes = [
            [self._box(row, scale, image) for row in rows.tolist()]
            for rows, scale, image in zip(found, scales, images, strict=True)
        ]
        return with_colors(self._color, images, boxes, colored)

    def _box(self, row: Sequence[float], scale: float, image: Image.Image) -> Box:
        """ultralytics' row: x1, y1, x2, y2, score, class."""
        xyxy = cast(Xyxy, in_image(row[:4], scale, image))
        return Box(self.vocabulary[int(row[5])], float(row[4]), xyxy)
