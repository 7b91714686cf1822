"""What `generate` will write into `config.json`, before and after its models are loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import FORMAT
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import split_names

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone
    from sipo.feedback.judge import Judge

PACKAGES = ("sipo", "torch", "diffusers", "transformers", "ultralytics")


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
    return row | {"name": named(row["name"])}


def named(backbone: str) -> str:
    """As `config.json` calls what --backbone names."""
    return Path(backbone).resolve().name if Path(backbone).is_dir() else backbone
