"""How often a judge is right on fresh scenes, and the thresholds that make it so.

A scene that obeys its prompt must be judged correct, a scene that breaks it in one clause must not.
Seeds: training uses whole numbers, calibration and check (seed, tag, kind) with other seeds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from sipo.common.pictures.tensors import to_pixels, to_tensor
from sipo.feedback.detectors.base import BATCH, Detector
from sipo.feedback.prompts.mini_prompts import CLASSES
from sipo.feedback.prompts.prompt import TAGS
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.feedback.rule.verdict import decide
from sipo.mini.train.labelled_scenes import soften, tagged_scenes
from sipo.mini.train.redrawn import redrawing
from sipo.mini.world import Scene

CALIBRATION_SEED, CHECK_SEED = 51, 52
FLOOR = 0.05  # least threshold considered
GRID = tuple(round(0.05 * i, 2) for i in range(6, 20))  # from .3: below, a smear would do
Pixels = NDArray[np.uint8]
View = Callable[[list[Pixels]], list[Pixels]]


@dataclass(frozen=True)
class AccuracyRow:
    """Shares in [0, 1] of `scenes` scenes each that were judged rightly."""

    tag: str
    obeys: float
    breaks: float
    scenes: int


@dataclass(frozen=True)
class Table:
    judge: dict[str, object]
    view: str
    map50: float
    rows: tuple[AccuracyRow, ...]

    def to_dict(self) -> dict[str, object]:
        return asdict(self)

    def __str__(self) -> str:
        thresholds = self.judge["thresholds"]
        assert isinstance(thresholds, dict), "a detector's description has them"
        lines = [f"{'tag':14} {'obeys':>7} {'breaks':>7} {'threshold':>10}"]
        for row in self.rows:
            shares = f"{row.obeys:7.4f} {row.breaks:7.4f}"
            lines.append(f"{row.tag:14} {shares} {thresholds[row.tag]:10.2f}")
        scenes = sum(2 * row.scenes for row in self.rows)
        return "\n".join([*lines, f"mAP50 {self.map50:.4f} on {scenes} scenes, view {self.view!r}"])


def check(
    detector: Detector, scenes: int = 400, view: str = "rendered", pipeline: Path | None = None
) -> Table:
    """The table on `scenes` fresh scenes a tag and kind, seen through `view`."""
    rows, pairs = [], []
    seen_through = VIEWS[view](pipeline)
    for tag in TAGS:
        shares = {}
        for obey in (True, False):
            drawn = list(itertools.islice(tagged_scenes(tag, obey, CHECK_SEED), scenes))
            found = _look(detector, drawn, seen_through)
            pairs += list(zip(drawn, found, strict=True))
            shares[obey] = _right(drawn, found, obey, detector.thresholds[tag])
        rows.append(AccuracyRow(tag, shares[True], shares[False], scenes))
    return Table(detector.describe(), view, map50(pairs), tuple(rows))


def calibrate(
    detector: Detector, scenes: int = 150, pipeline: Path | None = None
) -> dict[str, float]:
    """Tag -> the middle of the thresholds that judge best, by the worse of obeying and breaking.

    Of what is looked at every view has an equal share: with `pipeline`, mini-sd's two as well.
    """
    views = [VIEWS[name](pipeline) for name in VIEWS if pipeline or name not in DRAWN]
    chosen = {}
    for tag in TAGS:
        worse = np.ones(len(GRID))
        for obey in (True, False):
            drawn = list(itertools.islice(tagged_scenes(tag, obey, CALIBRATION_SEED), scenes))
            looks = [_look(detector, drawn, view) for view in views]
            right = [
                np.mean([_right(drawn, found, obey, threshold) for found in looks])
                for threshold in GRID
            ]
            worse = np.minimum(worse, right)
        best = [t for t, share in zip(GRID, worse, strict=True) if share >= worse.max() - 1e-9]
        chosen[tag] = best[len(best) // 2]
    return chosen


def map50(pairs: Sequence[tuple[Scene, list[Box]]]) -> float:
    """Mean over classes of the average precision at an IoU of 0.5 (area under the PR curve)."""
    return float(np.mean([_average_precision(pairs, name) for name in CLASSES]))


def _average_precision(pairs: Sequence[tuple[Scene, list[Box]]], name: str) -> float:
    hits: list[tuple[float, bool]] = []
    truths = 0
    for scene, found in pairs:
        left = [box.xyxy for box in scene.boxes if box.class_name == name]
        truths += len(left)
        for box in sorted((b for b in found if b.class_name == name), key=lambda b: -b.score):
            overlaps = [_iou(box.xyxy, other) for other in left]
            hit = bool(overlaps) and max(overlaps) >= 0.5
            if hit:
                left.pop(int(np.argmax(overlaps)))
            hits.append((box.score, hit))
    hits.sort(key=lambda pair: -pair[0])
    right = np.cumsum([hit for _, hit in hits])
    precision = right / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(right, prepend=0) * envelope) / max(truths, 1))


def _iou(a: Xyxy, b: Xyxy) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
    return width * height / (sum(areas) - width * height)


def _look(detector: Detector, drawn: Iterable[Scene], view: View) -> list[list[Box]]:
    found: list[list[Box]] = []
    for batch in _batches(drawn):
        pixels = view([scene.image for scene in batch])
        found += detector.detect([Image.fromarray(image) for image in pixels], FLOOR)
    return found


def _right(
    drawn: Sequence[Scene], found: Sequence[list[Box]], obey: bool, threshold: float
) -> float:
    verdicts = [
        decide(scene.prompt, [box for box in boxes if box.score >= threshold])
        for scene, boxes in zip(drawn, found, strict=True)
    ]
    return sum(verdict.correct == obey for verdict in verdicts) / len(verdicts)


def _batches(drawn: Iterable[Scene]) -> Iterator[list[Scene]]:
    stream = iter(drawn)
    while batch := list(itertools.islice(stream, BATCH)):
        yield batch


def _softened(images: list[Pixels]) -> list[Pixels]:
    rng = np.random.default_rng(CHECK_SEED)
    return [soften(image, rng) for image in images]


def _decoded(pipeline: Path | None) -> View:
    """Encoded and decoded by its autoencoder: the best that the model could draw."""
    folder = _required(pipeline, "decoded") / "vae"
    model = import_module("diffusers").AutoencoderKL.from_pretrained(folder).eval()

    @torch.inference_mode()
    def view(images: list[Pixels]) -> list[Pixels]:
        latents = model.encode(to_tensor(np.stack(images))).latent_dist.mean
        return list(to_pixels(model.decode(latents).sample))

    return view


def _redrawn(pipeline: Path | None) -> View:
    """As the model draws it where the text has no part in it."""
    redraw = redrawing(_required(pipeline, "redrawn"), CHECK_SEED)
    return lambda images: redraw(images, None)


def _required(pipeline: Path | None, view: str) -> Path:
    if pipeline is None:
        raise ValueError(f"view {view!r} needs a model; give its diffusers folder as --pipeline")
    return pipeline


DRAWN = ("decoded", "redrawn")
VIEWS: Mapping[str, Callable[[Path | None], View]] = {
    "rendered": lambda pipeline: lambda images: images,
    "softened": lambda pipeline: _softened,
    "decoded": _decoded,
    "redrawn": _redrawn,
}
