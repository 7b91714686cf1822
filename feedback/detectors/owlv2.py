"""OWLv2 (Minderer et al. 2023), an open-vocabulary detector under Apache-2.0, by transformers.

B images, N classes of the vocabulary. Every box has the one class that fits best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from PIL import Image
from torch import Tensor

from sipo.common.devices import judge_device
from sipo.feedback.detectors.base import (
    Colored,
    checked_iou,
    checked_thresholds,
    in_image,
    judge_all,
    with_colors,
)
from sipo.feedback.detectors.clip_color import ColorName, load_color
from sipo.feedback.detectors.color import ColorNamer
from sipo.feedback.judge_weights import describe_folder, find_folder
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.published_weights import OWLV2, VIT_L
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from transformers import Owlv2ForObjectDetection, Owlv2Processor

TEMPLATE = "a photo of a {name}"  # what it was trained with
THRESHOLDS = dict.fromkeys(TAGS, 0.2) | {"counting": 0.3}
"""A start from its users' practice; calibrate on labelled images."""
NMS_IOU = 0.5  # its own post-processing leaves doubles, which would be counted


class Owlv2Judge:
    def __init__(
        self,
        model: Owlv2ForObjectDetection,
        processor: Owlv2Processor,
        vocabulary: Sequence[str],
        *,
        description: Mapping[str, object],
        color: ColorNamer,
        device: torch.device,
        thresholds: Mapping[str, float] = THRESHOLDS,
        nms_iou: float = NMS_IOU,
    ) -> None:
        self.vocabulary = tuple(vocabulary)
        self.thresholds = checked_thresholds(thresholds)
        self._nms_iou = checked_iou(nms_iou)
        self._description, self._color = dict(description), color
        self._model = model.float().eval().to(device)
        self._processor = processor
        self._texts = [TEMPLATE.format(name=name) for name in self.vocabulary]

    def describe(self) -> dict[str, object]:
        return {
            "id": "owlv2",
            **self._description,
            "vocabulary": list(self.vocabulary),
            "thresholds": dict(self.thresholds),
            "nms_iou": self._nms_iou,
            "color": self._color.describe(),
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_all(self, images, prompts)

    @torch.inference_mode()
    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        rgb = [image.convert("RGB") for image in images]
        inputs = self._processor(images=rgb, text=[self._texts] * len(rgb), return_tensors="pt")
        output = self._model(**inputs.to(self._model.device))
        if not torch.isfinite(output.logits).all():
            raise FloatingPointError("the detector's output is not finite")
        found = self._processor.post_process_grounded_object_detection(
            output, threshold=floor, target_sizes=[(image.height, image.width) for image in rgb]
        )
        boxes = [self._boxes(*one) for one in zip(found, rgb, strict=True)]
        return with_colors(self._color, rgb, boxes, colored)

    def _boxes(self, seen: dict[str, Tensor], image: Image.Image) -> list[Box]:
        ops = import_module("torchvision.ops")
        kept = ops.batched_nms(seen["boxes"], seen["scores"], seen["labels"], self._nms_iou)
        boxes = []
        for i in kept.tolist():
            xyxy = cast(Xyxy, in_image(seen["boxes"][i].tolist(), 1.0, image))
            boxes.append(
                Box(self.vocabulary[int(seen["labels"][i])], float(seen["scores"][i]), xyxy)
            )
        return boxes


def load_owlv2(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    thresholds: Mapping[str, float] = THRESHOLDS,
    nms_iou: float = NMS_IOU,
    color: ColorName = "pixels",
    color_weights: str = VIT_L,
    device: str = "auto",
) -> Owlv2Judge:
    """`weights`: folder or hub id. Scores hang on the vocabulary: a box goes to its best class."""
    from transformers import Owlv2ForObjectDetection, Owlv2Processor

    if not vocabulary:
        raise ValueError("vocabulary is empty; name the classes that the prompts speak of")
    folder = find_folder(weights or OWLV2)
    return Owlv2Judge(
        Owlv2ForObjectDetection.from_pretrained(folder, use_safetensors=True),
        Owlv2Processor.from_pretrained(folder),
        vocabulary,
        description=describe_folder(folder),
        color=load_color(color, color_weights, device),
        device=judge_device(device),
        thresholds=THRESHOLDS | dict(thresholds),
        nms_iou=nms_iou,
    )
