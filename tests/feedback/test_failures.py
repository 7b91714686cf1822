"""What is a failed verdict, and what ends the command: the image's fault, or ours."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from sipo.common.pictures.picture import Clip
from sipo.feedback.detectors.base import Colored, judge_all
from sipo.feedback.ensemble import make_ensemble
from sipo.feedback.fake import FakeJudge
from sipo.feedback.frames import FrameJudge
from sipo.feedback.judge_batches import judge_in_batches
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import TAGS, Prompt
from sipo.feedback.registry import load_judge, read_settings
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict
from sipo.feedback.scorers.base import ScorerJudge, SigmoidScale

CAT = grammar.single_object("cat")
RED, BLUE = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))


class Raises:
    """Scores red images; of any other it raises `error`."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def describe(self) -> dict[str, Any]:
        return {"id": "raises"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return judge_in_batches(self, self._judge, images, prompts, 4)

    def _judge(self, batch: Sequence[Any], description: dict[str, Any]) -> list[Verdict]:
        for image, _ in batch:
            if image.getpixel((0, 0)) != (255, 0, 0):
                raise self.error
        return [Verdict(score=0.5, correct=True, reason="", judge=description) for _ in batch]


@pytest.mark.parametrize(
    "error",
    [
        ValueError("no pixels"),
        OSError("image file is truncated"),
        FloatingPointError("not finite"),
        ZeroDivisionError("no area"),
        SyntaxError("broken PNG file"),
        EOFError("cut"),
        struct.error("cut"),
        Image.DecompressionBombError("large"),
    ],
)
def test_what_an_image_causes_fails_that_image(error: Exception) -> None:
    judge = Raises(error)
    first, failed, last = judge.judge([RED, BLUE, RED], [CAT] * 3)
    assert failed.failure == f"{type(error).__name__}: {error}"
    assert not first.failed
    assert not last.failed
    assert all(v.failed for v in judge.judge([BLUE, BLUE], [CAT] * 2))  # it has judged before


@pytest.mark.parametrize(
    "error",
    [
        TypeError("takes 2 arguments"),
        IndexError("list index out of range"),
        KeyError("x"),
        RuntimeError("CUDA error: device-side assert triggered"),
        MemoryError(),
        OSError(28, "No space left on device"),
    ],
)
def test_what_no_image_causes_goes_through(error: Exception) -> None:
    with pytest.raises(type(error)) as raised:
        Raises(error).judge([RED, BLUE], [CAT] * 2)
    assert raised.value is error


def test_memory_for_one_at_a_time_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    class Small(Raises):
        def _judge(self, batch: Sequence[Any], description: dict[str, Any]) -> list[Verdict]:
            if len(batch) > self.most:
                raise torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate")
            return super()._judge(batch, description)

        most = 1

    judge = Small(ValueError("blue"))
    for _ in range(2):  # the second time it knows
        assert [v.failed for v in judge.judge([RED, BLUE, RED], [CAT] * 3)] == [False, True, False]
    assert [record.getMessage() for record in caplog.records] == [
        "judging by 'raises' 3 at a time ran out of memory; going on with 1 at a time"
    ]
    judge.most = 0
    says = r"ran out of memory with one image \(CUDA out of memory.\); set its device to 'cpu'"
    with pytest.raises(ValueError, match=says):
        judge.judge([RED], [CAT])


def test_a_judge_that_fails_on_all_alike_stops_at_once() -> None:
    says = "judge 'raises' failed on all of its first 3 images: ValueError: no network; look"
    with pytest.raises(ValueError, match=says):
        Raises(ValueError("no network")).judge([BLUE] * 3, [CAT] * 3)
    alone = Raises(ValueError("no network"))
    for _ in range(3):
        assert alone.judge([BLUE], [CAT])[0].failed
    with pytest.raises(ValueError, match="its first 4 images"):
        alone.judge([BLUE], [CAT])


class Sees:
    """A detector of one box."""

    vocabulary = ("cat",)
    thresholds = dict.fromkeys(TAGS, 0.1)

    def __init__(self, *xyxy: float) -> None:
        self.box = Box("cat", 0.9, xyxy)  # type: ignore[arg-type]

    def describe(self) -> dict[str, Any]:
        return {"id": "sees"}

    def detect(
        self, images: Sequence[Image.Image], floor: float, colored: Colored | None = None
    ) -> list[list[Box]]:
        return [[self.box] if image is BLUE else [] for image in images]


def test_boxes_and_scores_that_are_not_finite() -> None:
    seen = judge_all(Sees(0, 0, float("nan"), 1), [RED, BLUE], [CAT] * 2)
    assert [v.failure for v in seen] == [
        None,
        "FloatingPointError: a box of the detector is not finite",
    ]

    class Nan:
        def describe(self) -> dict[str, Any]:
            return {"id": "nan"}

        def score(self, images: Sequence[Image.Image], texts: Sequence[str]) -> list[float]:
            return [float("nan") if image is BLUE else 1.0 for image in images]

    first, failed = ScorerJudge(Nan(), SigmoidScale(0, 1)).judge([RED, BLUE], [CAT] * 2)
    assert (first.evidence, failed.score) == ({"raw": 1.0}, None)
    assert failed.failure == "FloatingPointError: the score is not finite"


@pytest.mark.parametrize(
    "own", [{"score": float("nan")}, {"score": 1.5}, {"score": -0.1}, {"score": None}]
)
def test_a_verdict_has_a_score_or_a_failure(own: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Verdict(correct=False, reason="", **own)
    with pytest.raises(ValidationError):
        Verdict(score=0.5, correct=False, reason="", failure="x")


def test_a_mean_of_ones_is_one() -> None:
    class One(FakeJudge):
        def _one(self, image: Image.Image, prompt: Prompt) -> Verdict:
            return Verdict(score=1.0, correct=True, reason="")

    names = [str(n) for n in range(10)]
    several = make_ensemble(names, [One() for _ in names], weights=dict.fromkeys(names[:7], 0.1))
    assert several.judge([RED], [CAT])[0].score == pytest.approx(1.0)


def test_a_clip_without_frames_fails() -> None:
    empty, clip = (Clip(b"", frames, 8) for frames in ((), (RED, BLUE)))
    failed, judged = FrameJudge(FakeJudge()).judge([empty, clip], [CAT] * 2)
    assert failed.failure == "the clip has no frames"
    assert not judged.failed


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("pickscore", {"pickscore": {"center": float("nan")}}, "setting center: .*finite"),
        ("pickscore", {"pickscore": {"center": 10**400}}, "setting center"),
        ("yolo-world", {"yolo-world": {"thresholds": {"countin": 0.3}}}, "'countin' is no tag"),
        ("yolo-world", {"yolo-world": {"thresholds": {"colors": 3}}}, r"colors: 3 must lie in"),
        ("mini-evaluator", {"mini-evaluator": {"thresholds": {"colors": True}}}, "must lie in"),
        ("mini-evaluator", {"mini-evaluator": {"thresholds": {"colors": float("nan")}}}, "lie in"),
        ("yolo-world", {"yolo-world": {"image_px": 0}}, "image_px=0 must be a multiple of 32"),
        ("yolo-world", {"yolo-world": {"image_px": 10**9 * 32}}, "up to 8192"),
        ("yolo-world", {"yolo-world": {"nms_iou": 2}}, r"nms_iou=2 must lie in \(0, 1\]"),
        ("vlm", {"vlm": {"least": 7}}, "setting least: .*less than or equal to 1"),
        ("fake", {"fake": {"weights_sha256": 5}}, "weights_sha256: 5 is no hash"),
        ("fake", {"fake": None}, "settings for 'fake' are None; give a JSON object"),
        ("fake,fake", {"ensemble": {"weights": [1]}}, "are no weight by judge"),
        ("fake,fake", {"ensemble": {"weights": {"fake": "x"}}}, "weight x of 'fake' is no number"),
        ("fake,fake", {"ensemble": {"weights": {"fake": float("inf")}}}, "must be positive, and"),
        ("fake,fake", {"ensemble": {"weights": {"fake": 10**400}}}, "must be positive, and"),
        ("fake,fake", {"ensemble": {"rule": 3}}, "ensemble rule 3 is unknown"),
    ],
)
def test_settings_that_cannot_be_are_named(name: str, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        load_judge(name, None, ("cat",), settings)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"fake": {"x": NaN}}', "NaN is no finite number"),
        ('{"fake": {"x": 1e999}}', "1e999 is no finite number"),
        ('{"fake": {"x": ' + "9" * 400 + "}}", "number of 400 digits"),
        ('{"fake": {}, "fake": {}}', "has 'fake' twice; keep one"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_files_of_settings_that_cannot_be(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text(text)
    with pytest.raises(
        ValueError, match=f"--judge-settings .*settings.json' is not JSON to go by: .*{says}"
    ):
        read_settings(file)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_settings_as_editors_save_them(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps({"fake": {}}), encoding=encoding)
    assert read_settings(file) == {"fake": {}}
    with pytest.raises(ValueError, match="cannot be read; give a JSON file"):
        read_settings(tmp_path)
