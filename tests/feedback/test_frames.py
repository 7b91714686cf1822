"""A clip's verdict from its frames', and the clip's file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from sipo.common.pictures.picture import Clip, from_bytes, make_clip, read_clip, strip, to_bytes
from sipo.feedback.frames import FrameJudge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict, failed_verdict

PROMPT = grammar.single_object("cat")


class Brightness:
    """The red of the first pixel over 100 is the score; correct from 0.9 on; 255 cannot be seen."""

    def __init__(self) -> None:
        self.batches: list[int] = []

    def describe(self) -> dict[str, Any]:
        return {"id": "brightness"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.batches.append(len(images))
        return [self._one(np.asarray(image)[0, 0, 0]) for image in images]

    def _one(self, red: int) -> Verdict:
        if red == 255:
            return failed_verdict("blinded", self.describe())
        correct = red >= 90
        reason = "" if correct else f"only {red}"
        box = Box("cat", red / 100, (0, 0, 1, 1))
        return Verdict(score=red / 100, correct=correct, reason=reason, boxes=(box,))


def shade(red: int) -> Image.Image:
    return Image.new("RGB", (16, 16), (red, 0, 0))


def clip(*reds: int) -> Clip:
    return Clip(b"", tuple(shade(red) for red in reds), 8)


@pytest.mark.parametrize(
    ("rule", "reds", "score", "correct", "reason"),
    [
        ("mean", (90, 100, 50), 0.8, True, ""),
        ("worst", (90, 100, 50), 0.5, False, "only 50"),
        ("mean", (90, 50, 40), 0.6, False, "only 50"),
        ("worst", (90, 95, 100), 0.9, True, ""),
        ("mean", (90, 50), 0.7, False, "only 50"),
    ],
)
def test_a_clips_verdict(
    rule: Any, reds: tuple[int, ...], score: float, correct: bool, reason: str
) -> None:
    judge = FrameJudge(Brightness(), 8, rule)
    [verdict] = judge.judge([clip(*reds)], [PROMPT])
    assert verdict.score == pytest.approx(score)
    assert (verdict.correct, verdict.reason) == (correct, reason)
    assert [row["score"] for row in verdict.evidence["frames"].values()] == [r / 100 for r in reds]
    assert verdict.judge == judge.describe()
    assert verdict == Verdict.model_validate_json(verdict.model_dump_json())


def test_frames_are_the_middles_of_equal_parts() -> None:
    def places(length: int, count: int) -> list[str]:
        [verdict] = FrameJudge(Brightness(), count).judge([clip(*range(length))], [PROMPT])
        return list(verdict.evidence["frames"])

    assert places(9, 1) == ["4"]
    assert places(9, 3) == ["1", "4", "7"]
    assert places(49, 8) == ["3", "9", "15", "21", "27", "33", "39", "45"]
    assert places(2, 8) == ["0", "1"]


def test_a_frame_that_cannot_be_judged_fails_the_clip_alone() -> None:
    judge = Brightness()
    pictures = [clip(90, 255), clip(90, 80), shade(30)]
    verdicts = FrameJudge(judge).judge(pictures, [PROMPT] * 3)
    assert judge.batches == [5]
    assert [verdict.failure for verdict in verdicts] == ["blinded", None, None]
    assert verdicts[0].score is None
    assert list(verdicts[0].evidence["frames"]) == ["0", "1"]
    assert verdicts[2].evidence == {}  # an image's verdict is the judge's own


def test_bad_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="--judged-frames 0"):
        FrameJudge(Brightness(), 0)
    with pytest.raises(ValueError, match=r"--frame-score 'best' .* mean, worst"):
        FrameJudge(Brightness(), 1, "best")  # type: ignore[arg-type]


def _moving() -> list[Image.Image]:
    rows, columns = np.mgrid[:32, :48]
    return [
        Image.fromarray(
            np.stack([4 * columns, 6 * rows, 0 * rows + 12 * number], -1).astype(np.uint8)
        )
        for number in range(9)
    ]


def test_the_same_frames_make_the_same_bytes() -> None:
    frames = _moving()
    made = make_clip(frames, 8)
    assert made.mp4 != make_clip(frames, 16).mp4
    noise, beside = np.random.default_rng(0), list[bytes]()
    for _ in range(20):  # whatever lies in memory beside
        beside = [*beside[-9:], noise.bytes(int(noise.integers(100_000)))]
        assert make_clip(frames, 8).mp4 == made.mp4
    assert to_bytes(made) == made.mp4
    again = from_bytes(made.mp4, "mp4")
    assert isinstance(again, Clip)
    assert [f.tobytes() for f in again.frames] == [f.tobytes() for f in made.frames]
    assert again.fps == 8
    with av.open(io.BytesIO(made.mp4)) as file:
        assert file.streams.video[0].codec_context.name == "h264"


def test_a_clip_keeps_its_frames_nearly() -> None:
    frames = _moving()
    kept = make_clip(frames, 8).frames
    assert len(kept) == len(frames)
    for frame, other in zip(frames, kept, strict=True):
        assert np.abs(np.asarray(frame, int) - np.asarray(other, int)).mean() < 2
    with pytest.raises(ValueError, match="not a readable video"):
        read_clip(b"no video at all")


def test_the_strip_is_first_middle_and_last() -> None:
    row = np.asarray(strip(clip(10, 20, 30, 40, 50)))
    assert row.shape == (16, 48, 3)
    assert row[0, ::16, 0].tolist() == [10, 30, 50]
