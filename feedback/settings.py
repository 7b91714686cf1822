"""Settings of every command that has prompts or a judge."""

from __future__ import annotations

from functools import partial
from typing import Literal

from sipo.common.settings import setting
from sipo.feedback.registry import JUDGES

FRAMES = 8  # judged of a clip
FrameScore = Literal["mean", "worst"]

PROMPTS = partial(
    setting,
    "Prompts",
    "File of prompts: GenEval JSONL, a suite's with its questions (DPG-Bench's CSV ...), .txt of a "
    "prompt a line ('# ' begins a comment), or - (standard input).",
    also="prompts_file prompt_file metadata_file",
)
JUDGES_NAMED = partial(
    setting, metavar="NAME[=WEIGHTS]", choices=JUDGES, parts="sipo.judges", several=True
)
JUDGE = partial(
    JUDGES_NAMED,
    "Judge",
    "Judge of the images, or module:attribute of your own; several are one judge.",
    also="reward_model",
)
JUDGE_WEIGHTS = partial(setting, "Judge", "Weights of the judge, instead of the embedded ones.")
JUDGE_SETTINGS = partial(
    setting, "Judge", "JSON file of settings by judge: thresholds, colours, the rule of several."
)
JUDGED_FRAMES = partial(setting, "Judge", "Frames of a clip that are judged.", ge=1)
FRAME_SCORE = partial(setting, "Judge", "Which of its frames' scores a clip has.")
