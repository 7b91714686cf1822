"""What an evaluation depends on; the defaults of `sipo-geneval` live here and nowhere else."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pydantic import model_validator

from sipo.backbones import settings as model
from sipo.backbones.loading.names import check_backbone, check_name, in_embedded_world
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.cluster import runner_settings as ray
from sipo.common.command_words import command
from sipo.common.files.urls import is_url
from sipo.common.settings import DEVICE, DEVICES, OUT, SEED, Devices, StrictModel, setting
from sipo.feedback import settings as feedback
from sipo.feedback.prompts.demands import require_published
from sipo.feedback.prompts.prompt import Prompt, read_prompts
from sipo.feedback.prompts.suites import SUITES, load_suite
from sipo.feedback.registry import read_settings, split_names

OF_CLIPS = ("frames", "judged_frames", "frame_score")

_SAMPLING = frozenset(
    {
        "backbone",
        "weights",
        "seed",
        *model.SAMPLER,
        "dtype",
        "quantize",
        "device",
        "offload",
        "workers",
    }
)
_OFFICIAL = {"judge": "mask2former", "suite": "geneval"}
"""Of a model that is not embedded: the official suite and the official evaluator's detector."""

IMAGES_PER_PROMPT = partial(setting, "Sampling", "Images of each prompt to evaluate.", ge=1)


class EvalSettings(StrictModel):
    backbone: str = model.BACKBONE("mini-sd")
    weights: Path | None = model.WEIGHTS(None)
    suite: str | None = setting(
        "Prompts",
        "Suite of prompts to evaluate on, instead of a file.",
        None,
        choices=SUITES,
        without="mini with mini-sd, else geneval; with --images their prompts",
    )
    prompts: Path | None = feedback.PROMPTS(None, url=True)
    judge: str = feedback.JUDGE(
        "mini-evaluator", without="mini-evaluator; mask2former without mini-sd"
    )
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)
    judged_frames: int = feedback.JUDGED_FRAMES(feedback.FRAMES)
    frame_score: feedback.FrameScore = feedback.FRAME_SCORE("mean")
    images_per_prompt: int = IMAGES_PER_PROMPT(
        4, also="n_samples num_images_per_prompt", without="4; with --images those that are there"
    )
    seed: int = SEED(0)
    steps: int | None = model.STEPS(None)
    guidance: float | None = model.GUIDANCE(None)
    guidance_2: float | None = model.GUIDANCE_2(None)
    height: int | None = model.HEIGHT(None)
    width: int | None = model.WIDTH(None)
    frames: int | None = model.FRAMES(None)
    compile: bool = model.COMPILE(False)
    cache: model.Cache | None = model.CACHE(None)
    fp8: bool = model.FP8(False)
    batch_size: int = setting("Sampling", "Images that are sampled at a time.", 32, also="bs", ge=1)
    dtype: model.Dtype = model.DTYPE("auto")
    quantize: model.Quantize = model.QUANTIZE("no")
    device: str = DEVICE("auto")
    devices: Devices = DEVICES("auto")
    offload: bool = model.OFFLOAD(False)
    runner: ray.Runner = ray.RUNNER("local")
    workers: int | None = ray.WORKERS(None)
    gpus_per_worker: float | None = ray.GPUS_PER_WORKER(None)
    judge_gpus: float | None = ray.JUDGE_GPUS(None)
    judge_workers: int | None = ray.JUDGE_WORKERS(None)
    tries: int | None = ray.TRIES(None)
    images: Path | None = setting(
        "Data",
        "Images to score instead of sampling: a folder in GenEval's layout or that of the suite of "
        "--prompts, or a CSV or JSONL with image and prompt.",
        None,
        url=True,
    )
    out: Path = OUT(Path("eval"), url=True)

    @model_validator(mode="before")
    @classmethod
    def _of_its_world(cls, given: object) -> object:
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
        if self.images and self.images.is_file():
            self.require_local("images of a list")
        if self.images:
            ignored = sorted(_SAMPLING & self.model_fields_set)
            if ignored:
                option = ignored[0].replace("_", "-")
                raise ValueError(
                    f"--{option} has no effect with --images {str(self.images)!r}, where the "
                    "images are there already; leave one of the two out"
                )

    def require_local(self, what: str) -> None:
        """Raises ValueError where `what`, which are linked into --out, are or go elsewhere."""
        for option, place in (("out", self.out), ("images", self.images)):
            if place and is_url(place):
                raise ValueError(
                    f"--{option} {place} is a URL, and {what} are linked into --out; give a folder "
                    "of this machine"
                )

    def command(self) -> str:
        """The shell command that asks for this: every setting that is not the default, but for how
        many do it."""
        fields = type(self).model_fields.items()
        asked = {k: v for k, field in fields if (v := getattr(self, k)) != field.default}
        asked.pop("devices", None)
        return command("sipo-geneval", **asked)


def wanted_prompts(settings: EvalSettings) -> list[Prompt]:
    """The prompts that the settings name; [] when they are those of the `images` folder."""
    if settings.prompts:
        return read_prompts(settings.prompts)
    if settings.images and not settings.suite:
        return []
    return load_suite(settings.suite or "mini")
