"""VideoReward of VideoAlign (Liu et al. 2025): Qwen2-VL-2B's opinion of a clip in three dimensions.

Visual quality, motion quality and text alignment, each normalised by the mean and deviation of
`model_config.json`; their sum is the score. Source: KwaiVGI/VideoAlign, `inference.py`,
`trainer.py`, `vision_process.py`. The layout of checkpoint-11352/model.pth, the whole state dict of
a PEFT model with its LoRA apart, is read off `utils.py` there, and not off the file: UniRL counts
1123 tensors in it (its PR 97), as many as 28 layers with a LoRA on each linear one, 32 vision
blocks, `lm_head` and `rm_head` have.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import cast

from torch import nn

from sipo.common.devices import judge_device
from sipo.common.pictures.picture import Picture
from sipo.feedback.judge_weights import describe_file, find_file, load_tensors
from sipo.feedback.published_weights import (
    QWEN2_VL_2B,
    VIDEO_REWARD,
    VIDEO_REWARD_CONFIG,
    VIDEO_REWARD_FILE,
)
from sipo.feedback.scorers.base import Rating, Scorer, ScorerJudge, SigmoidScale
from sipo.feedback.scorers.even_frames import frames_of
from sipo.feedback.scorers.official_question import official_question
from sipo.feedback.scorers.qwen2_vl_reward import RewardModel
from sipo.feedback.scorers.reward_loading import reward_model
from sipo.feedback.scorers.reward_weights import without_lora
from sipo.feedback.scorers.video_reward_config import (
    DIMENSIONS,
    VideoRewardConfig,
    read_video_reward_config,
)
from sipo.feedback.vlm import Dtype

TOKENS = tuple(f"<|{dimension}_reward|>" for dimension in DIMENSIONS)
SLOPE = 1.0  # ours: no loss was of the sum
BATCH = 2


class VideoAlign:
    """`weights` are of the dimensions in the sum; 1 each there."""

    def __init__(
        self,
        model: RewardModel,
        config: VideoRewardConfig,
        weights: Sequence[float],
        description: dict[str, object],
    ) -> None:
        self._model, self._config, self._description = model, config, description
        self._weights = dict(zip(DIMENSIONS, weights, strict=True))

    def describe(self) -> dict[str, object]:
        asked = {"fps": self._config.fps, "pixels": self._config.pixels}
        norm = {"means": dict(self._config.means), "deviations": dict(self._config.deviations)}
        of = {"dimensions": self._weights}
        return {"id": "videoalign", **self._description, **asked, **norm, **of}

    def score(self, images: Sequence[Picture], texts: Sequence[str]) -> list[Rating]:
        questions = [
            official_question("videoalign", self._model.require_plain(text)) for text in texts
        ]
        videos = [frames_of(clip, self._config.fps, self._config.pixels) for clip in images]
        return [
            self._rating(row) for row in self._model.read(questions, videos=videos)[..., 0].tolist()
        ]

    def _rating(self, row: Sequence[float]) -> Rating:
        raws = dict(zip(DIMENSIONS, row, strict=True))
        means, deviations = self._config.means, self._config.deviations
        scores = {one: (raw - means[one]) / deviations[one] for one, raw in raws.items()}
        overall = sum(self._weights[one] * score for one, score in scores.items())
        return Rating(overall, {"parts": scores, "heads": raws})


class ClipScorerJudge(ScorerJudge):
    """Is handed clips whole (sipo.feedback.frames)."""

    sees_clips = True


def load_video_align(
    weights: str | Path | None,
    vocabulary: Sequence[str],
    *,
    vq: float = 1.0,
    mq: float = 1.0,
    ta: float = 1.0,
    center: float = 0.0,
    base: str = QWEN2_VL_2B,
    dtype: Dtype = "auto",
    device: str = "auto",
) -> ScorerJudge:
    """`weights`: checkpoint-11352/model.pth, with model_config.json beside it or one folder up."""
    path = find_file(weights, VIDEO_REWARD, VIDEO_REWARD_FILE)
    config = read_video_reward_config(_config_file(path, weights))
    tensors = without_lora(load_tensors(path), config.alpha, path)
    model = reward_model(tensors, path, base, TOKENS, _head, dtype, judge_device(device))
    scorer = VideoAlign(model, config, (vq, mq, ta), describe_file(path))
    return ClipScorerJudge(cast(Scorer, scorer), SigmoidScale(center, SLOPE), BATCH)


def _head(width: int) -> nn.Module:
    return nn.Linear(width, 1, bias=False)


def _config_file(path: Path, weights: str | Path | None) -> Path:
    if weights is None:
        return find_file(None, VIDEO_REWARD, VIDEO_REWARD_CONFIG)
    beside = [folder / VIDEO_REWARD_CONFIG for folder in (path.parent, path.parent.parent)]
    if found := next((file for file in beside if file.is_file()), None):
        return found
    raise ValueError(
        f"judge weights {str(path)!r} have no {VIDEO_REWARD_CONFIG} beside them or one folder up; "
        "get it from the same repository"
    )
