"""A detector's thresholds from images of known content: per tag the one most often right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypedDict, TypeGuard

from sipo.common.bars import bar
from sipo.feedback.detectors.base import BATCH, Detector, Look, looks_of
from sipo.feedback.labelled_images import Labelled, open_image
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import decide
from sipo.feedback.worth_by_people import Choose, LabelledVerdict

GRID = (0.02, *(round(0.05 * n, 2) for n in range(1, 20)))
"""Thresholds that are tried."""

Seen = tuple[Prompt, Sequence[Box], bool]
"""What was asked, the boxes over GRID's least, whether the image shows it."""


@dataclass(frozen=True)
class Calibration:
    threshold: float
    accuracy: float  # balanced: mean over the labels that occur of the share judged rightly
    images: int


def calibrate(seen: Sequence[Seen]) -> dict[str, Calibration]:
    """Per tag that occurs. Of a run of equally good thresholds the middle one is taken."""
    tags = dict.fromkeys(prompt.tag for prompt, _, _ in seen)
    return {tag: _calibrate_tag(_of(tag, seen)) for tag in tags}


def see(detector: Detector, rows: Sequence[Labelled]) -> list[Seen]:
    """Each image is looked at once, however many prompts it is held against."""
    paths = list(dict.fromkeys(row.image for row in rows))
    asked: dict[Path, dict[str, Look]] = {path: {} for path in paths}
    for row in rows:
        for name, look in looks_of(row.prompt, GRID[0]).items():
            asked[row.image][name] = max(look, asked[row.image].get(name, look))
    boxes: dict[Path, list[Box]] = {}
    with bar(len(paths), "Detecting", "img") as shown:
        for start in range(0, len(paths), BATCH):
            batch = paths[start : start + BATCH]
            images = [open_image(path) for path in batch]
            colored = [asked[path] for path in batch]
            boxes |= zip(batch, detector.detect(images, GRID[0], colored), strict=True)
            shown.update(len(batch))
    return [(row.prompt, boxes[row.image], row.correct) for row in rows]


def thresholds_by_tag(present: Mapping[str, float]) -> Choose[Seen]:
    """The choice that `calibrate` makes; a tag without images keeps its present threshold."""

    def choose(rows: Sequence[LabelledVerdict[Seen]]) -> Callable[[LabelledVerdict[Seen]], bool]:
        found = calibrate([row.seen for row in rows])
        thresholds = dict(present) | {tag: one.threshold for tag, one in found.items()}
        return lambda row: _holds(row.seen, thresholds[row.seen[0].tag])

    return choose


def detector_verdicts(
    seen: Sequence[Seen], thresholds: Mapping[str, float]
) -> list[LabelledVerdict[Seen]]:
    """Of images that `see` has looked at, by these thresholds."""
    return [
        LabelledVerdict(one[0].to_json(), one[2], _holds(one, thresholds[one[0].tag]), one)
        for one in seen
    ]


class TagWorth(TypedDict):
    """How often a threshold is right, beside the one that was there before."""

    images: int
    balanced_accuracy: float
    before: float


class Calibrated(NamedTuple):
    """A detector's thresholds for these weights, and what they are worth by tag that had images."""

    name: str
    thresholds: dict[str, float]
    weights_sha256: object  # None of a judge that does not say
    worth: dict[str, TagWorth]

    def settings(self) -> dict[str, object]:
        """As --judge-settings takes them."""
        own: dict[str, object] = {"thresholds": self.thresholds}
        if self.weights_sha256 is not None:
            own["weights_sha256"] = self.weights_sha256
        return {self.name: own, "calibration": {self.name: self.worth}}


def calibrate_judge(name: str, judge: object, rows: Sequence[Labelled]) -> Calibrated:
    """The settings that hold `judge` to thresholds found on `rows`, and what they were worth.

    A tag without images keeps its threshold. Raises ValueError for a judge that detects nothing.
    """
    if not is_detector(judge):
        raise ValueError(
            f"--judge {name!r} has no thresholds; calibrate a detector, or give --people"
        )
    return calibrated(name, judge, see(judge, rows))


def is_detector(judge: object) -> TypeGuard[Detector]:
    return hasattr(judge, "detect")


def calibrated(name: str, detector: Detector, seen: Sequence[Seen]) -> Calibrated:
    """The same of images that `see` has looked at."""
    found = calibrate(seen)
    thresholds = dict(detector.thresholds) | {tag: c.threshold for tag, c in found.items()}
    worth = {
        tag: TagWorth(
            images=c.images,
            balanced_accuracy=round(c.accuracy, 4),
            before=round(balanced_accuracy(_of(tag, seen), detector.thresholds[tag]), 4),
        )
        for tag, c in found.items()
    }
    return Calibrated(name, thresholds, detector.describe().get("weights_sha256"), worth)


def calibration_lines(found: Calibrated) -> list[str]:
    """One a tag: its threshold, and how often it is right, beside the one before."""
    return [
        f"{tag:14} {found.thresholds[tag]:.2f}  right {row['balanced_accuracy']:.3f} "
        f"(before {row['before']:.3f}) of {row['images']} images"
        for tag, row in found.worth.items()
    ]


def balanced_accuracy(seen: Sequence[Seen], threshold: float) -> float:
    """Mean, over the labels that occur, of the share of images judged as labelled."""
    right: dict[bool, list[bool]] = {}
    for one in seen:
        right.setdefault(one[2], []).append(_holds(one, threshold) == one[2])
    return sum(sum(hits) / len(hits) for hits in right.values()) / len(right)


def _holds(seen: Seen, threshold: float) -> bool:
    prompt, boxes, _ = seen
    return decide(prompt, (box for box in boxes if box.score >= threshold)).correct


def _calibrate_tag(seen: Sequence[Seen]) -> Calibration:
    accuracies = [balanced_accuracy(seen, threshold) for threshold in GRID]
    best = max(accuracies)
    start = accuracies.index(best)
    end = next((i for i in range(start, len(GRID)) if accuracies[i] < best), len(GRID))
    return Calibration(GRID[(start + end - 1) // 2], best, len(seen))


def _of(tag: str, seen: Sequence[Seen]) -> list[Seen]:
    return [one for one in seen if one[0].tag == tag]
