"""`model_config.json` of a VideoReward checkpoint: how it was trained, and is to be asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sipo.common.files.strict_json import load_json

DIMENSIONS = ("VQ", "MQ", "TA")
"""Visual quality, motion quality, text alignment."""

_ONLY: Mapping[tuple[str, str], object] = {
    ("data_config", "eval_dim"): list(DIMENSIONS),
    ("data_config", "prompt_template_type"): "detailed_special",
    ("data_config", "sample_type"): "uniform",
    ("model_config", "use_special_tokens"): True,
    ("model_config", "output_dim"): 1,
    ("peft_lora_config", "use_rslora"): False,
}
"""As published; another value is another judge than ours."""


@dataclass(frozen=True)
class VideoRewardConfig:
    """`means` and `deviations` by dimension, of the scores that the heads gave to some videos."""

    fps: float
    pixels: int  # most of a frame
    alpha: float  # of the LoRA
    means: Mapping[str, float]
    deviations: Mapping[str, float]


def read_video_reward_config(file: Path) -> VideoRewardConfig:
    """Raises ValueError for a file that is none, and for training of another kind."""
    where = f"judge weights: {str(file)!r}"
    try:
        value = load_json(file.read_bytes())
    except (OSError, ValueError):
        raise ValueError(f"{where} is not whole JSON; get model_config.json again") from None
    try:
        for (part, name), only in _ONLY.items():
            if (given := value[part][name]) != only:
                raise ValueError(f"{where} has {name} {given!r}, and this judge knows {only!r}")
        if (count := value["data_config"].get("num_frames")) is not None:
            raise ValueError(f"{where} has num_frames {count}, and this judge goes by fps")
        norm = value.get("inference_config") or {}  # without it scores stay as they are
        return VideoRewardConfig(
            fps=_positive(value["data_config"]["fps"]),
            pixels=int(_positive(value["data_config"]["max_frame_pixels"])),
            alpha=_positive(value["peft_lora_config"]["lora_alpha"]),
            means={one: float(norm[f"{one}_mean"]) if norm else 0.0 for one in DIMENSIONS},
            deviations={one: _positive(norm[f"{one}_std"]) if norm else 1.0 for one in DIMENSIONS},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{where} is no VideoReward's ({error}); get it again") from None


def _positive(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise TypeError(f"{value!r} is no positive number")
    return float(value)
