"""What `sipo-data generate` is asked, and the canonical form of it that a folder remembers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from sipo.backbones.loading.names import check_backbone, in_embedded_world
from sipo.backbones.loading.trained_weights import check_weights
from sipo.common.settings import Seed, StrictModel
from sipo.datagen.generation.pairing import POLICIES
from sipo.feedback.frames import FRAMES, FrameScore
from sipo.feedback.judge import split_names
from sipo.feedback.prompts.prompt import Prompt, read_prompts

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone, Sampler
    from sipo.feedback.judge import Judge

FORMAT = "sipo shards 1"
SUITES = {
    "mini-train": "sipo.mini.suites:mini_train_suite",
    "geneval-train": "sipo.feedback.prompts.geneval_prompts:geneval_train_suite",
}
SUITE_PROMPTS = 256  # taken of a suite when --num-prompts is not given
PACKAGES = ("sipo", "torch", "diffusers", "transformers", "ultralytics")


class GenerateSettings(StrictModel):
    """The command line of `generate`; None means the checkpoint's or the source's own default."""

    backbone: str = "mini-sd"
    weights: Path | None = None
    prompts: Path | None = None
    suite: str | None = None
    num_prompts: int | None = Field(default=None, ge=1)
    skip_prompts: int = Field(default=0, ge=0)
    judge: str = "yolo-world"
    judge_weights: Path | None = None
    judge_settings: Path | None = None
    judged_frames: int = Field(default=FRAMES, ge=1)  # of a clip
    frame_score: FrameScore = "mean"
    candidates: int = Field(default=8, ge=2)
    seed: Seed = 0
    steps: int | None = Field(default=None, ge=1)
    guidance: float | None = Field(default=None, ge=0)
    height: int | None = Field(default=None, ge=1)
    width: int | None = Field(default=None, ge=1)
    frames: int | None = Field(default=None, ge=1)  # of a clip
    batch_size: int = Field(default=16, ge=1)
    prompts_per_shard: int = Field(default=8, ge=1)
    policy: str = "all-over-margin"
    margin: float = Field(default=0.3, ge=0, le=1)
    max_pairs_per_prompt: int = Field(default=8, ge=1)
    dtype: str = "float32"
    quantize: str = "no"  # of the denoiser
    device: str = "auto"
    offload: bool = False
    workers: int | None = Field(default=None, ge=1)  # processes on a CPU; None: one a core
    out: Path = Path("shards")

    def sampler(self, default: Sampler) -> Sampler:
        """The backbone's sampler with what was asked put over it."""
        return type(default).model_validate(default.model_dump() | self.given_sampler)

    @property
    def given_sampler(self) -> dict[str, Any]:
        names = ("steps", "guidance", "height", "width", "frames")
        asked = {name: getattr(self, name) for name in names}
        return {name: value for name, value in asked.items() if value is not None}


def check_models(settings: GenerateSettings) -> None:
    """Raises ValueError for a backbone or weights that can be seen not to load."""
    check_backbone(settings.backbone)
    if settings.weights is not None:
        check_weights(settings.weights)


def check_clip_settings(settings: GenerateSettings, backbone: Backbone) -> None:
    """Raises ValueError for a setting of clips where the backbone makes images."""
    given = sorted({"frames", "judged_frames", "frame_score"} & settings.model_fields_set)
    if given and backbone.fps is None:
        raise ValueError(
            f"--{given[0].replace('_', '-')} {getattr(settings, given[0])} has no effect: "
            f"{settings.backbone!r} makes images, not clips; leave it out"
        )


def asked_prompts(settings: GenerateSettings) -> list[Prompt]:
    """The prompts of the file or suite, after --skip-prompts and --num-prompts.

    Raises ValueError for an unknown suite, both sources at once, or nothing left to do.
    """
    if settings.prompts is not None and settings.suite is not None:
        raise ValueError("--prompts and --suite were both given; give one of them")
    count, source = settings.num_prompts, source_of(settings)
    if settings.prompts is not None:
        rows = read_prompts(settings.prompts)
    else:
        rows = _suite(source)
        count = count or SUITE_PROMPTS
    end = None if count is None else settings.skip_prompts + count
    taken = rows[settings.skip_prompts : end]
    if not taken:
        raise ValueError(
            f"--skip-prompts {settings.skip_prompts} leaves none of the {len(rows)} prompts of "
            f"{source!r}; skip fewer"
        )
    return taken


def source_of(settings: GenerateSettings) -> str:
    """The file or suite that the prompts are of."""
    own = "mini-train" if in_embedded_world(settings.backbone) else "geneval-train"
    return str(settings.prompts) if settings.prompts else settings.suite or own


def without_repeats(prompts: Sequence[Prompt]) -> list[Prompt]:
    """Each text once: the same text and seed would only give the same candidates again."""
    return list({prompt.text: prompt for prompt in reversed(prompts)}.values())[::-1]


def check_policy(name: str) -> None:
    if name not in POLICIES:
        raise ValueError(f"--policy {name!r} is unknown; choose one of {', '.join(POLICIES)}")


def prompts_bytes(prompts: Sequence[Prompt]) -> bytes:
    return "".join(prompt.to_json() + "\n" for prompt in prompts).encode()


def config_of(
    settings: GenerateSettings,
    prompts: Sequence[Prompt],
    backbone: Backbone,
    judge: Judge,
    device: str,
) -> dict[str, Any]:
    """`config.json`: everything the bytes of a folder depend on, no paths and no times."""
    clips = {} if backbone.fps is None else {"fps": backbone.fps}
    packages = (*PACKAGES, "av") if clips else PACKAGES
    return {
        "format": FORMAT,
        "backbone": described(backbone),
        "sampler": backbone.sized(settings.sampler(backbone.default_sampler)).model_dump(),
        **clips,
        **_of_no_model(settings, prompts, device),
        "judge": judge.describe(),
        "versions": {name: version(name) for name in packages},
    }


def known_early(
    settings: GenerateSettings, prompts: Sequence[Prompt], device: str
) -> dict[str, Any]:
    """What `config_of` will say as far as it is known before the models are loaded."""
    return {
        "backbone": {"name": named(settings.backbone)},
        "sampler": settings.given_sampler,
        **_of_no_model(settings, prompts, device),
        "judge": judge_early(settings.judge, settings.judge_weights),
    }


def judge_early(name: str, weights: Path | None = None) -> dict[str, Any]:
    """What a judge's `describe` will say of its name and of weights that are a file."""
    members = [_weighed(one, own or weights) for one, own in split_names(name)]
    return members[0] if len(members) == 1 else {"id": "ensemble", "members": members}


def _weighed(name: str, weights: str | Path | None) -> dict[str, Any]:
    """A folder's name and hash are the judge's own affair; the hash of a file is kept for it."""
    if weights is None or not Path(weights).is_file():
        return {"id": name}
    from sipo.feedback.judge_weights import sha256

    return {"id": name, "weights_sha256": sha256(Path(weights))}


def _of_no_model(
    settings: GenerateSettings, prompts: Sequence[Prompt], device: str
) -> dict[str, Any]:
    return {
        "prompts": {
            "count": len(prompts),
            "sha256": hashlib.sha256(prompts_bytes(prompts)).hexdigest(),
        },
        "seed": settings.seed,
        "candidates": settings.candidates,
        "batch_size": settings.batch_size,
        "prompts_per_shard": settings.prompts_per_shard,
        "shards": -(-len(prompts) // settings.prompts_per_shard),
        "dtype": settings.dtype,
        **({} if settings.quantize == "no" else {"quantize": settings.quantize}),
        "device": device,
        "policy": settings.policy,
        "margin": settings.margin,
        "max_pairs_per_prompt": settings.max_pairs_per_prompt,
    }


def described(backbone: Backbone) -> dict[str, Any]:
    """Of a local folder only its name: where it lies is nothing of the pairs."""
    row = backbone.describe()
    return {**row, "name": named(row["name"])}


def named(backbone: str) -> str:
    """As `config.json` calls what --backbone names."""
    return Path(backbone).resolve().name if Path(backbone).is_dir() else backbone


def _suite(name: str) -> list[Prompt]:
    if name not in SUITES:
        raise ValueError(f"--suite {name!r} is unknown; choose one of {', '.join(SUITES)}")
    module, function = SUITES[name].split(":")
    prompts: list[Prompt] = getattr(import_module(module), function)()
    return prompts
