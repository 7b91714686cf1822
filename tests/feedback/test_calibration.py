"""A detector's thresholds from images of known content, and the command that writes them."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.datagen.cli import main
from sipo.feedback.detectors.base import Colored, judge_all
from sipo.feedback.detectors.threshold_calibration import (
    GRID,
    Seen,
    balanced_accuracy,
    calibrate,
    calibrate_judge,
)
from sipo.feedback.fake import FakeJudge
from sipo.feedback.labelled_images import Labelled, read_labelled
from sipo.feedback.own_judge import as_judge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.registry import load_judge
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict
from sipo.mini.train.labelled_scenes import tagged_scenes

CAT, TWO = grammar.single_object("cat"), grammar.counting("cat", 2)


def boxes(*scores: float) -> list[Box]:
    return [Box("cat", s, (20.0 * i, 0, 20.0 * i + 10, 10)) for i, s in enumerate(scores)]


def test_the_middle_of_the_best_thresholds_is_taken() -> None:
    seen: list[Seen] = [(CAT, boxes(0.62), True), (CAT, boxes(0.33), False), (TWO, boxes(), False)]
    found = calibrate(seen)
    assert found["single_object"].threshold == 0.45  # of 0.35 to 0.6
    assert found["single_object"].accuracy == 1.0
    assert (found["counting"].threshold, found["counting"].images) == (GRID[9], 1)


def test_counting_asks_for_another_threshold() -> None:
    seen: list[Seen] = [(TWO, boxes(0.9, 0.8, 0.5), True), (TWO, boxes(0.9, 0.4), False)]
    best = calibrate(seen)["counting"]
    assert 0.5 < best.threshold <= 0.8
    assert best.accuracy == 1.0


def test_accuracy_is_balanced() -> None:
    seen: list[Seen] = [(CAT, boxes(0.9), True)] * 9 + [(CAT, boxes(0.9), False)]
    assert balanced_accuracy(seen, 0.5) == 0.5
    assert balanced_accuracy(seen, 0.95) == 0.5


def write_layout(root: Path, per_tag: int = 4) -> None:
    number = 0
    for tag in ("single_object", "counting"):
        for scene in itertools.islice(tagged_scenes(tag, True, seed=5), per_tag):
            folder = root / f"{number:05d}"
            (folder / "samples").mkdir(parents=True)
            (folder / "metadata.jsonl").write_text(scene.prompt.to_json() + "\n")
            Image.fromarray(scene.image).save(folder / "samples" / "0000.png")
            number += 1


def test_geneval_s_layout_holds_what_is_shown_and_what_is_not(tmp_path: Path) -> None:
    write_layout(tmp_path, per_tag=2)
    rows = read_labelled(tmp_path)
    assert [(row.prompt.tag, row.correct) for row in rows] == [
        (tag, correct)
        for tag in ("single_object", "single_object", "counting", "counting")
        for correct in (True, False)
    ]
    assert all(a.prompt.meaning() != b.prompt.meaning() for a, b in itertools.pairwise(rows[:2]))
    result = {"filename": "00000/samples/0000.png", "correct": False, "metadata": CAT.to_json()}
    (tmp_path / "results.jsonl").write_text(json.dumps(result) + "\n")
    (row,) = read_labelled(tmp_path)
    assert (row.prompt, row.correct) == (CAT, False)


def test_bad_labels_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no labelled images"):
        read_labelled(tmp_path)
    with pytest.raises(ValueError, match="are not there"):
        read_labelled(tmp_path / "nowhere")
    file = tmp_path / "labels.jsonl"
    row = {"image": "a.png", "prompt": CAT.to_row(), "correct": True}
    for line, says in (
        ("{}", "line 1: no labelled image"),
        (json.dumps(row | {"correct": "yes"}), "line 1: correct is 'yes'; write true or false"),
        (json.dumps(row | {"prompt": {}}), "line 1: tag"),
        (json.dumps(row | {"prompt": {"prompt": "rain"}}), "line 1: 'rain' is plain text, which"),
        (json.dumps(row | {"image": 3}), "line 1: no labelled image"),
        ("[]", "line 1: no labelled image"),
        (json.dumps({"filename": "a", "metadata": "{", "correct": True}), "metadata: not JSON"),
        ('{"correct": true, "correct": false}', "line 1: has 'correct' twice"),
        (json.dumps(row), r"'.*a.png' is missing; take its row out"),
    ):
        file.write_text("\ufeff" + line + "\r\n", encoding="utf-8")
        with pytest.raises(ValueError, match=says):
            read_labelled(file)


def test_a_judge_without_thresholds_is_refused() -> None:
    with pytest.raises(ValueError, match="'fake' has no thresholds; calibrate a detector"):
        calibrate_judge("fake", FakeJudge(), [])


def test_the_command_writes_settings_that_the_judge_takes(tmp_path: Path) -> None:
    write_layout(tmp_path / "images")
    out = tmp_path / "settings.json"
    asked = ["calibrate-judge", str(tmp_path / "images"), "--judge", "mini-evaluator"]
    done = CliRunner().invoke(main, [*asked, "--out", str(out)])
    assert done.exit_code == 0, done.output
    settings = json.loads(out.read_text())
    thresholds = settings["mini-evaluator"]["thresholds"]
    worth = settings["calibration"]["mini-evaluator"]
    assert set(worth) == {"single_object", "counting"}
    assert worth["counting"]["images"] == 8
    assert all(tag["balanced_accuracy"] >= tag["before"] for tag in worth.values())
    assert all(tag["balanced_accuracy"] > 0.85 for tag in worth.values())
    judge = load_judge("mini-evaluator", None, ("cat",), out)
    assert judge.describe()["thresholds"] == thresholds
    again = CliRunner().invoke(main, [*asked, "--out", str(tmp_path / "again.json")])
    assert again.exit_code == 0
    assert (tmp_path / "again.json").read_bytes() == out.read_bytes()
    refused = CliRunner().invoke(main, ["calibrate-judge", str(tmp_path), "--judge", "fake"])
    assert refused.exit_code == 2
    assert "holds no labelled images" in refused.output


class CatsFinder:
    """A detector that is not in the tree: a cat of 0.4 in white images, of 0.2 in others."""

    vocabulary, thresholds = ("cat",), dict.fromkeys(TAGS, 0.1)

    def describe(self) -> dict[str, object]:
        return {"id": "finder"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_all(self, images, prompts)

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        scores = [0.4 if image.getpixel((0, 0)) == (255, 255, 255) else 0.2 for image in images]
        return [[Box("cat", score, (0.0, 0.0, 4.0, 4.0))] for score in scores if score >= floor]


def test_a_detector_of_one_s_own_has_thresholds_to_find(tmp_path: Path) -> None:
    rows = []
    for color, shows in (("white", True), ("black", False)):
        Image.new("RGB", (8, 8), color).save(tmp_path / f"{color}.png")
        rows.append(Labelled(tmp_path / f"{color}.png", CAT, shows))
    judge = as_judge(CatsFinder(), "finder")
    found = calibrate_judge("finder", judge, rows)
    assert found.thresholds["single_object"] == 0.3  # of 0.25 to 0.4, the middle
    assert found.worth["single_object"]["before"] == 0.5
    assert found.settings()["finder"] == {"thresholds": found.thresholds}  # no hash to hold it to


def test_plain_text_before_a_detector_is_one_sentence() -> None:
    asked = Prompt(tag="text", include=(), prompt="a cat on a mat")
    with pytest.raises(ValueError, match=r"^'a cat on a mat' is plain text, which a detector"):
        CatsFinder().judge([Image.new("RGB", (8, 8))], [asked])
