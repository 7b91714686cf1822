"""What `generate` will write into `config.json`, before and after its models are loaded."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.backbones.settings import sampler_settings
from sipo.datagen.generation.prompts import prompts_bytes
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import (
    FORMAT,
    BackboneConfig,
    FolderConfig,
    judge_digest,
    name_of,
)
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import split_names

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone, Sampler
    from sipo.feedback.judge import Judge

PACKAGES = ("sipo", "torch", "diffusers", "transformers", "ultralytics")


def config_of(
    settings: GenerateSettings,
    prompts: Sequence[Prompt],
    repeated: int,
    backbone: Backbone,
    sampler: Sampler,
    judge: Judge,
    device: str,
) -> FolderConfig:
    """`repeated` prompts had the text of another and were left out."""
    clips = {} if backbone.fps is None else {"fps": backbone.fps}
    described = judge.describe()
    allocated = {"allocate": True, "allocated_by": judge_digest(described)}
    row = {
        "format": FORMAT,
        "backbone": BackboneConfig.of(backbone),
        "sampler": sampler.model_dump(),
        **clips,
        **_of_no_model(settings, prompts, device),
        **(allocated if settings.allocate else {}),
        "judge": described,
        "versions": versions_of(*PACKAGES, *(["av"] if clips else [])),
    }
    return FolderConfig.model_validate(row | {"prompts": _of_prompts(prompts, repeated=repeated)})


def versions_of(*packages: str) -> dict[str, str]:
    return {name: version(name) for name in packages}


def known_early(
    settings: GenerateSettings, prompts: Sequence[Prompt], device: str
) -> dict[str, object]:
    """What `config_of` will say as far as it is known before the models are loaded."""
    return {
        "backbone": {"name": name_of(settings.backbone)},
        "sampler": sampler_settings(settings),
        **_of_no_model(settings, prompts, device),
        "allocate": settings.allocate or None,
        "judge": judge_early(settings.judge, settings.judge_weights),
    }


def judge_early(name: str, weights: Path | None = None) -> dict[str, object]:
    """What a judge's `describe` will say of its name and of weights that are a file."""
    members = [_weighed(one, given or weights) for one, given in split_names(name)]
    return members[0] if len(members) == 1 else {"id": "ensemble", "members": members}


def _weighed(name: str, weights: str | Path | None) -> dict[str, object]:
    """A folder's name and hash are the judge's own affair; the hash of a file is kept for it."""
    if weights is None or not Path(weights).is_file():
        return {"id": name}
    from sipo.feedback.judge_weights import sha256

    return {"id": name, "weights_sha256": sha256(Path(weights))}


def _of_no_model(
    settings: GenerateSettings, prompts: Sequence[Prompt], device: str
) -> dict[str, object]:
    return {
        "prompts": _of_prompts(prompts),
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


def _of_prompts(prompts: Sequence[Prompt], **more: int) -> dict[str, object]:
    sha256 = hashlib.sha256(prompts_bytes(prompts)).hexdigest()
    return {"count": len(prompts), "sha256": sha256, **more}
