"""What `sipo-data generate` is asked."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sipo.backbones import settings as model
from sipo.backbones.loading.names import check_backbone
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.cluster import runner_settings as ray
from sipo.common.settings import DEVICE, DEVICES, OUT, SEED, Devices, StrictModel, setting
from sipo.feedback import settings as feedback
from sipo.feedback.prompts.suites import TRAIN_SUITES

if TYPE_CHECKING:
    from sipo.backbones.base import Sampler

Policy = Literal["all-over-margin", "best-vs-worst", "correct-vs-incorrect"]
SUITE_PROMPTS = 256  # taken of a suite when --num-prompts is not given
SUITE = partial(
    setting,
    "Prompts",
    "Suite of prompts to learn from, instead of a file.",
    choices=TRAIN_SUITES,
    without="mini-train with mini-sd, else geneval-train",
)
NUM_PROMPTS = partial(
    setting,
    "Prompts",
    "Prompts to take of the file or suite.",
    without=f"a whole file, {SUITE_PROMPTS} of a suite",
    ge=1,
)
CANDIDATES = partial(setting, "Sampling", "Images of each prompt to choose from.", ge=2)
ALLOCATE = partial(
    setting,
    "Sampling",
    "Half of the images go to prompts of which some of the first half are right and some wrong.",
)
POLICY = partial(setting, "Pairs", "Which candidates of a prompt become pairs.")
MARGIN = partial(setting, "Pairs", "Least difference of scores in a pair, 0 to 1.", ge=0, le=1)
MAX_PAIRS = partial(setting, "Pairs", "Pairs of one prompt at most.", ge=1)


class GenerateSettings(StrictModel):
    """The command line of `generate`; None means the checkpoint's or the source's own default."""

    backbone: str = model.BACKBONE("mini-sd")
    weights: Path | None = model.WEIGHTS(None)
    prompts: Path | None = feedback.PROMPTS(None, url=True)
    suite: str | None = SUITE(None)
    num_prompts: int | None = NUM_PROMPTS(None)
    skip_prompts: int = setting("Prompts", "Prompts to leave out, the first ones.", 0, ge=0)
    judge: str = feedback.JUDGE("yolo-world")
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)
    judged_frames: int = feedback.JUDGED_FRAMES(feedback.FRAMES)
    frame_score: feedback.FrameScore = feedback.FRAME_SCORE("mean")
    candidates: int = CANDIDATES(8, also="num_images_per_prompt")
    allocate: bool = ALLOCATE(False)
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
    batch_size: int = setting("Sampling", "Images that are sampled at a time.", 16, also="bs", ge=1)
    prompts_per_shard: int = setting("Output", "Prompts in a shard.", 8, ge=1)
    policy: Policy = POLICY("all-over-margin")
    margin: float = MARGIN(0.3)
    max_pairs_per_prompt: int = MAX_PAIRS(8)
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
    out: Path = OUT(Path("shards"), url=True)

    def sampler(self, default: Sampler) -> Sampler:
        """The backbone's sampler with what was asked put over it."""
        return type(default).model_validate(default.model_dump() | model.sampler_settings(self))


def check_models(settings: GenerateSettings) -> None:
    """Raises ValueError for a backbone or weights that can be seen not to load."""
    check_backbone(settings.backbone)
    if settings.weights is not None:
        check_weights(settings.weights)
