"""A judge of images looks at clips: some frames of each, and one verdict of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import get_args

from PIL import Image

from sipo.common.pictures.picture import Clip, Picture
from sipo.feedback.judge import Judge, sees_clips
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.feedback.settings import FRAMES, FrameScore


def judge_for(judge: Judge, clips: bool, frames: int = FRAMES, score: FrameScore = "mean") -> Judge:
    """The judge of a folder's pictures: of clips a FrameJudge, or `judge` where it sees them whole.

    Raises ValueError for one that sees clips alone where there are images, and as FrameJudge.
    """
    if not sees_clips(judge):
        return FrameJudge(judge, frames, score) if clips else judge
    if not clips:
        raise ValueError(
            f"judge {judge.describe()['id']!r} looks at clips, whole, and here are images; choose "
            "a judge of images"
        )
    return judge


class FrameJudge:
    """`mean`: the mean of the frames' scores, correct where more than half of the frames are.
    `worst`: the least score, correct where all are. Images are judged as they are."""

    def __init__(self, judge: Judge, frames: int = FRAMES, score: FrameScore = "mean") -> None:
        """Raises ValueError for no frames, for another `score` and for a judge that compares."""
        if frames < 1:
            raise ValueError(f"--judged-frames {frames} leaves nothing to look at; give 1 or more")
        if score not in get_args(FrameScore):
            known = ", ".join(get_args(FrameScore))
            raise ValueError(f"--frame-score {score!r} is unknown; choose one of {known}")
        if judge.describe().get("rule") == "majority":
            raise ValueError(
                "ensemble rule 'majority' would compare the frames of one clip with each other; "
                "choose mean or minimum for clips"
            )
        self._judge, self._frames, self._score = judge, frames, score

    def describe(self) -> dict[str, object]:
        rule = {"count": self._frames, "score": self._score}
        return {**self._judge.describe(), "frames": rule}

    def judge(self, images: Sequence[Picture], prompts: Sequence[Prompt]) -> list[Verdict]:
        """One verdict a picture; of a clip with all its frames' in `evidence`."""
        looked_at = [_judged_frames(picture, self._frames) for picture in images]
        said = iter(
            self._judge.judge(
                [frame for frames in looked_at for frame in frames.values()],
                [p for p, frames in zip(prompts, looked_at, strict=True) for _ in frames],
            )
        )
        by_frame = [{place: next(said) for place in frames} for frames in looked_at]
        return [
            self._together(verdicts) if isinstance(picture, Clip) else verdicts[0]
            for picture, verdicts in zip(images, by_frame, strict=True)
        ]

    def _together(self, by_frame: dict[int, Verdict]) -> Verdict:
        """What is said of the clip is what the frame nearest to its score says.

        A frame that could not be judged fails the clip: all clips are scored on as many frames.
        """
        if not by_frame:
            return failed_verdict("the clip has no frames", self.describe())
        verdicts = list(by_frame.values())
        rows = {
            str(place): verdict.model_dump(mode="json", exclude={"judge"})
            for place, verdict in by_frame.items()
        }
        if cause := next((v.failure for v in verdicts if v.failure is not None), None):
            failed = failed_verdict(cause, self.describe())
            return failed.model_copy(update={"evidence": {"frames": rows}})
        scores = [verdict.score for verdict in verdicts if verdict.score is not None]
        score = fmean(scores) if self._score == "mean" else min(scores)
        right = sum(verdict.correct for verdict in verdicts)
        correct = right == len(verdicts) if self._score == "worst" else 2 * right > len(verdicts)
        alike = [verdict for verdict in verdicts if verdict.correct == correct]
        speaker = min(alike, key=lambda verdict: abs((verdict.score or 0) - score))
        return Verdict(
            score=score,
            correct=correct,
            complaints=speaker.complaints,
            boxes=speaker.boxes,
            judge=self.describe(),
            evidence={"frames": rows},
        )


def _judged_frames(picture: Picture, count: int) -> dict[int, Image.Image]:
    """By their place: the middles of `count` equal parts of a clip, each frame once."""
    if not isinstance(picture, Clip):
        return {0: picture}
    length = len(picture.frames)
    if not length:
        return {}
    places = sorted({int((part + 0.5) * length / count) for part in range(count)})
    return {place: picture.frames[place] for place in places}
