"""Mask2Former (Cheng et al. 2022) by transformers: GenEval's evaluator without mmdet.

Official: mmdet 2.27's Swin-S, trained on COCO, with the thresholds below and CLIP for colours
(djghosh13/geneval, `evaluation/evaluate_images.py`). The weights here are the authors' own of the
same size; scores are near the official ones, not equal to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor, nn

from sipo.common.devices import judge_device
from sipo.feedback.detectors.base import (
    Colored,
    Look,
    checked_thresholds,
    judge_all,
    looked_at,
    with_colors,
)
from sipo.feedback.detectors.clip_color import ColorName, load_color
from sipo.feedback.detectors.coco_names import geneval_names
from sipo.feedback.detectors.color import ColorNamer, Mask
from sipo.feedback.detectors.embedded_folder import known_classes
from sipo.feedback.detectors.masks import box_of, instances, upscale
from sipo.feedback.judge_weights import describe_folder, find_folder, load_tensors
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.published_weights import MASK2FORMER, VIT_L
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict

if TYPE_CHECKING:
    from transformers import Mask2FormerImageProcessor, Mask2FormerModel

THRESHOLDS = dict.fromkeys(TAGS, 0.3) | {"counting": 0.9}
"""The official ones."""


class Segmenter(nn.Module):
    """Queries with their classes. transformers' own such class holds a loss that needs scipy."""

    def __init__(self, queries: Mask2FormerModel) -> None:
        super().__init__()
        config = queries.config
        self.labels = [config.id2label[i] for i in range(config.num_labels)]
        self.model = queries
        self.class_predictor = nn.Linear(config.hidden_dim, config.num_labels + 1)

    def forward(self, pixels: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        """(1, 3, S, S), (1, S, S) -> class logits (Q, N + 1), mask logits (Q, h, w)."""
        output = self.model(pixels, pixel_mask=inside, output_hidden_states=True)
        last = output.transformer_decoder_intermediate_states[-1]  # (Q, 1, width)
        return self.class_predictor(last[:, 0]), output.masks_queries_logits[-1][0]


class Mask2FormerJudge:
    def __init__(
        self,
        model: Segmenter,
        processor: Mask2FormerImageProcessor,
        *,
        description: Mapping[str, object],
        color: ColorNamer,
        device: torch.device,
        thresholds: Mapping[str, float] = THRESHOLDS,
    ) -> None:
        self.vocabulary = geneval_names(model.labels)
        self.thresholds = checked_thresholds(thresholds)
        self._description, self._color = dict(description), color
        self._device = device
        self._model = model.float().eval().to(device)
        self._processor = processor

    def describe(self) -> dict[str, object]:
        return {
            "id": "mask2former",
            **self._description,
            "thresholds": dict(self.thresholds),
            "color": self._color.describe(),
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_all(self, images, prompts)

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        """One at a time: in a batch, images of other shapes would be padded and see it.

        Colours are read off the objects alone.
        """
        rgb = [image.convert("RGB") for image in images]
        asked = [None] * len(images) if colored is None else colored
        found = [self._detect(*one, floor) for one in zip(rgb, asked, strict=True)]
        boxes, masks = [boxes for boxes, _ in found], [masks for _, masks in found]
        return with_colors(self._color, rgb, boxes, colored, masks)

    @torch.inference_mode()
    def _detect(
        self, image: Image.Image, asked: Mapping[str, Look] | None, floor: float
    ) -> tuple[list[Box], dict[int, Mask]]:
        """Boxes, and by their places the masks of those whose colour is asked."""
        inputs = self._processor(images=[image], return_tensors="pt").to(self._device)
        classes, masks = self._model(inputs["pixel_values"], inputs["pixel_mask"])
        if not torch.isfinite(classes).all():
            raise FloatingPointError("the detector's output is not finite")
        padded = tuple(inputs["pixel_values"].shape[-2:])
        inside = inputs["pixel_mask"][0].bool()
        seen, size = (int(inside[:, 0].sum()), int(inside[0].sum())), (image.height, image.width)
        found = instances(classes, lambda q: upscale(masks[q], padded, seen, size), floor)
        boxes = [Box(self.vocabulary[label], score, box_of(mask)) for label, score, mask in found]
        return boxes, {n: found[n][2].cpu().numpy() for n in looked_at(boxes, asked)}


def load_mask2former(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    thresholds: Mapping[str, float] = THRESHOLDS,
    color: ColorName = "clip",
    color_weights: str = VIT_L,
    device: str = "auto",
) -> Mask2FormerJudge:
    """`weights`: folder or hub id. Raises ValueError for a class that is none of its labels."""
    from transformers import Mask2FormerImageProcessor, Mask2FormerModel

    folder = find_folder(weights or MASK2FORMER)
    model = Segmenter(Mask2FormerModel.from_pretrained(folder, use_safetensors=True))
    tensors = load_tensors(folder / "model.safetensors")
    head = {part: tensors[f"class_predictor.{part}"] for part in ("weight", "bias")}
    model.class_predictor.load_state_dict(head)
    judge = Mask2FormerJudge(
        model,
        Mask2FormerImageProcessor.from_pretrained(folder),
        description=describe_folder(folder),
        color=load_color(color, color_weights, device),
        device=judge_device(device),
        thresholds=THRESHOLDS | dict(thresholds),
    )
    known_classes(vocabulary, judge.vocabulary, "mask2former")
    return judge
