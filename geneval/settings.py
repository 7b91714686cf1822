"""What an evaluation depends on; the defaults of `sipo-geneval` live here and nowhere else."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field, model_validator

from sipo.backbones.loading.names import check_backbone, check_name, in_embedded_world
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.settings import Seed, StrictModel
from sipo.feedback.frames import FRAMES, FrameScore
from sipo.feedback.judge import read_settings, split_names
from sipo.feedback.prompts.demands import require_published
from sipo.feedback.prompts.prompt import Prompt, read_prompts

SUITES = {
    "mini": "sipo.mini.suites:mini_suite",
    "mini-train": "sipo.mini.suites:mini_train_suite",
    "geneval": "sipo.feedback.prompts.geneval_prompts:geneval_suite",
    "geneval-train": "sipo.feedback.prompts.geneval_prompts:geneval_train_suite",
}
"""Prompt sets by name; `geneval` is the official one of 553."""

SAMPLER = ("steps", "guidance", "height", "width", "frames")
"""What is asked of the checkpoint's sampler; None leaves it its own."""
OF_CLIPS = ("frames", "judged_frames", "frame_score")

_SAMPLING = frozenset(
    {"backbone", "weights", "seed", *SAMPLER, "dtype", "quantize", "device", "offload", "workers"}
)
_OFFICIAL = {"judge": "mask2former", "suite": "geneval"}
"""Of a model that is not embedded: the official suite and the official evaluator's detector."""


class EvalSettings(StrictModel):
    backbone: str = "mini-sd"
    weights: Path | None = None  # a folder of sipo-train; None: the backbone as it is
    suite: str | None = None  # None: "mini" or "geneval", or with `images` the prompts found there
    prompts: Path | None = None  # a GenEval JSONL file, or a .txt, instead of a suite
    judge: str = "mini-evaluator"  # of the embedded world; else "mask2former"
    judge_weights: Path | None = None
    judge_settings: Path | None = None  # JSON by judge
    judged_frames: int = Field(default=FRAMES, ge=1)  # of a clip
    frame_score: FrameScore = "mean"
    images_per_prompt: int = Field(default=4, ge=1)
    seed: Seed = 0
    steps: int | None = Field(default=None, ge=1)  # None: the checkpoint's own
    guidance: float | None = Field(default=None, ge=0)
    height: int | None = Field(default=None, ge=1)  # pixels
    width: int | None = Field(default=None, ge=1)
    frames: int | None = Field(default=None, ge=1)  # of a clip
    batch_size: int = Field(default=32, ge=1)
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    quantize: Literal["no", "nf4", "int8"] = "no"  # the denoiser
    device: str = "auto"  # cuda where there is one
    offload: bool = False  # only the model that computes is on the device
    workers: int | None = Field(default=None, ge=1)  # processes on a CPU; None: one a core
    images: Path | None = None  # score this folder or list, made elsewhere, instead of sampling
    out: Path = Path("eval")

    @model_validator(mode="before")
    @classmethod
    def _of_its_world(cls, given: Any) -> Any:
        """The embedded suite and evaluator are the defaults of embedded models alone."""
        if not isinstance(given, dict) or in_embedded_world(
            given.get("backbone"), given.get("suite")
        ):
            return given
        sources = ("suite", "prompts", "images")
        told = any(given.get(name) is not None for name in sources)
        own = {name: _OFFICIAL[name] for name in ("judge", "suite")[: 1 if told else 2]}
        return given | {k: v for k, v in own.items() if given.get(k) is None}

    def check(self) -> None:
        """Raises ValueError for settings that contradict each other or name nothing."""
        if self.suite and self.prompts:
            raise ValueError(f"--suite {self.suite!r} and --prompts were both given; give one")
        split_names(self.judge)
        read_settings(self.judge_settings)
        if self.weights is not None:
            check_weights(self.weights)
        if self.images is None:
            check_name(self.backbone)
            if not in_embedded_world(self.backbone, self.suite):
                require_published(self.judge, self.judge_weights)
            check_backbone(self.backbone)
        if self.images:
            ignored = sorted(_SAMPLING & self.model_fields_set)
            if ignored:
                option = ignored[0].replace("_", "-")
                raise ValueError(
                    f"--{option} has no effect with --images {str(self.images)!r}, where the "
                    "images are there already; leave one of the two out"
                )

    def command(self) -> str:
        """The shell command that asks for this: every setting that is not the default."""
        words = ["sipo-geneval"]
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if value is True:
                words.append("--" + name)
            elif value != field.default:
                words += ["--" + name.replace("_", "-"), str(value)]
        return shlex.join(words)


def sampler_settings(settings: BaseModel) -> dict[str, object]:
    """Of any command's settings with these fields: what is asked of the checkpoint's sampler."""
    return settings.model_dump(include=set(SAMPLER), exclude_none=True)


def load_suite(name: str) -> list[Prompt]:
    """The prompt set of that name. Raises ValueError for an unknown one."""
    if name not in SUITES:
        raise ValueError(
            f"--suite {name!r} is unknown; choose one of {', '.join(sorted(SUITES))}, "
            "or give a GenEval JSONL file with --prompts"
        )
    module, function = SUITES[name].split(":")
    prompts: list[Prompt] = getattr(import_module(module), function)()
    return prompts


def wanted_prompts(settings: EvalSettings) -> list[Prompt]:
    """The prompts that the settings name; [] when they are those of the `images` folder."""
    if settings.prompts:
        return read_prompts(settings.prompts)
    if settings.images and not settings.suite:
        return []
    return load_suite(settings.suite or "mini")
