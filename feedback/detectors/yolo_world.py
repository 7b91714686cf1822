"""YOLO-World's network (Cheng et al. 2024), by way of ultralytics, and how the judge is loaded.

ultralytics is AGPL-3.0: it is imported here and in the recipe that trained the embedded weights,
inside functions, and nowhere else. It is kept from the network and from pip.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from torch import Tensor

from sipo.common.devices import judge_device
from sipo.feedback.detectors.clip_color import ColorName, load_color
from sipo.feedback.detectors.embedded_folder import DetectorConfig, read_detector
from sipo.feedback.detectors.yolo_judge import YoloWorldJudge, published_use
from sipo.feedback.detectors.yolo_weights import embed_classes, published_file
from sipo.feedback.judge_weights import describe_file
from sipo.feedback.published_weights import CLIP_B, VIT_L
from sipo.weights import weights_folder

if TYPE_CHECKING:
    from ultralytics.nn.tasks import WorldModel


Loaded = tuple["WorldModel", Tensor, DetectorConfig, dict[str, object]]
"""Network, (N, 512) embeddings of its N classes, how it is used by default, name and hash."""


class WorldNetwork:
    """ultralytics' WorldModel for a vocabulary of `classes`, with its suppression of doubles."""

    def __init__(self, model: WorldModel, classes: int, device: torch.device) -> None:
        self._device = device
        self._model = model.float().eval().to(self._device)
        self._model.model[-1].nc = classes

    @torch.inference_mode()
    def __call__(self, pixels: Tensor, texts: Tensor, floor: float, nms_iou: float) -> list[Tensor]:
        from ultralytics.utils.nms import non_max_suppression

        texts = texts.to(self._device).expand(len(pixels), -1, -1)
        raw = self._model(pixels.to(self._device), txt_feats=texts)[0]  # (B, 4 + N, anchors)
        if not torch.isfinite(raw).all():
            raise FloatingPointError("the detector's output is not finite")
        found: list[Tensor] = non_max_suppression(
            raw,
            floor,
            nms_iou,
            multi_label=True,
            max_time_img=math.inf,  # its time limit drops the rest of a batch without an error
        )
        return found


def load_yolo_world(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    thresholds: Mapping[str, float] | None = None,
    image_px: int | None = None,
    nms_iou: float | None = None,
    color: ColorName = "pixels",
    color_weights: str = VIT_L,
    text_encoder: str = CLIP_B,
    device: str = "auto",
) -> YoloWorldJudge:
    """The embedded judge (`weights` None or a folder like it), or published ones by name or path.

    A published `yolov8*-worldv2.pt` is a pickle. It is read with torch's restricted unpickler and
    ultralytics' list of its own classes; still, give it official files only.
    Raises ValueError for missing weights and for a class that the embedded judge does not know.
    """
    quiet_ultralytics()
    namer = load_color(color, color_weights, device)
    path = weights_folder("yolo-world-mini") if weights is None else Path(weights)
    if path.is_dir():
        model, texts, config, description = _embedded(path, vocabulary)
    else:
        file = published_file(path)
        model, texts, config, description = _published(file, vocabulary, text_encoder)
    return YoloWorldJudge(
        WorldNetwork(model, len(config.classes), judge_device(device)),
        texts,
        config.classes,
        description=description,
        thresholds=config.thresholds | dict(thresholds or {}),
        image_px=config.image_px if image_px is None else image_px,
        nms_iou=config.nms_iou if nms_iou is None else nms_iou,
        color=namer,
    )


def quiet_ultralytics() -> None:
    """Import it, and keep it from the network, from pip, from the terminal and from PIL.

    Its first import replaces `PIL.Image.open` for everybody by a function that, given a broken
    image, looks for a plugin and fails otherwise than PIL does; that is put back.
    """
    os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
    pil_open = Image.open
    import_module("ultralytics.utils.patches")
    Image.open = pil_open


def _embedded(folder: Path, vocabulary: Sequence[str]) -> Loaded:
    """Scores depend on the whole vocabulary: the one it was trained and calibrated with stays."""
    from ultralytics.nn.tasks import WorldModel

    config, tensors, description = read_detector(folder, vocabulary)
    texts = tensors.pop("txt_feats")
    model = WorldModel(config.yaml, nc=len(config.classes), verbose=False)
    model.load_state_dict(tensors, strict=True)
    return model, texts, config, description


def _published(path: Path, vocabulary: Sequence[str], text_encoder: str) -> Loaded:
    """Official weights and any class names, embedded by the text encoder they were trained with."""
    from ultralytics.nn.tasks import WorldModel, torch_safe_load

    if not vocabulary:
        raise ValueError("vocabulary is empty; name the classes that the prompts speak of")
    try:
        model = torch_safe_load(path, safe_only=True)[0]["model"]
    except (TypeError, KeyError):
        model = None
    if not isinstance(model, WorldModel):
        raise ValueError(
            f"judge weights {str(path)!r} hold no YOLO-World model; "
            "give an official file like yolov8x-worldv2.pt"
        )
    texts = embed_classes(vocabulary, text_encoder)
    description = describe_file(path) | {"text_encoder": text_encoder}
    return model, texts, published_use(vocabulary), description
