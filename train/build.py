"""What a run is made from: the pairs, the base model, the devices."""

from __future__ import annotations

import atexit
import logging
import os
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

import torch
from accelerate import Accelerator, InitProcessGroupKwargs
from accelerate.state import AcceleratorState

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.loading.names import in_embedded_world
from sipo.backbones.loading.unread import unread
from sipo.backbones.registry import load_backbone
from sipo.common.devices import (
    give_freed_memory_back,
    has_bf16,
    keep_freed_memory,
    use_tensor_cores,
)
from sipo.common.files.locks import is_written_to
from sipo.common.files.working_folders import working_folder
from sipo.datagen.storage.shard_folder import split_shards
from sipo.feedback.prompts.demands import check_prompts, require_published
from sipo.feedback.registry import load_judge, vocabulary_of
from sipo.train.backbone_of_shards import backbone_of
from sipo.train.data.pair_batches import Data, Pairs
from sipo.train.data.turns import Turns, folders_by_turn
from sipo.train.distributed.accelerate_env import wrapping_is_ours
from sipo.train.monitor.validation import Validation, check_validation, validation_prompts
from sipo.train.objective.denoising_errors import PairSource, Source
from sipo.train.objective.registry import find_objective
from sipo.train.objective.rollouts import Trajectories
from sipo.train.objective.turn_source import TurnSource
from sipo.train.policy import INIT, Frozen, Policy
from sipo.train.refusals import NO_FP16, require_folder
from sipo.train.settings import TrainSettings

if TYPE_CHECKING:
    from sipo.datagen.storage.prompt_dataset import PromptDataset

WAIT = timedelta(hours=6)
"""That processes wait for one that has more to sample, or for the main one, which alone writes:
NCCL's own ten minutes are too few."""


def open_data(settings: TrainSettings) -> Data:
    """Pairs; every verdict or score where the objective learns from those; only the prompts where
    it samples.

    Prompts that a judge of this run could only fail on are refused here, before a model is loaded.
    """
    for folder, _ in map(split_shards, settings.data):
        require_folder(folder)
        if folder.is_dir() and is_written_to(folder):
            raise ValueError(
                f"--data {str(folder)!r}: sipo-data is writing to it; wait for it to end"
            )
    if settings.validation_pairs:
        check_validation(settings, validation_prompts(settings))
    if settings.steps_per_folder:
        turns = [_open(settings, folders) for folders in folders_by_turn(settings)]
        return Turns(turns, settings.steps_per_folder)
    return _open(settings, settings.data)


def _open(settings: TrainSettings, folders: list[str]) -> Data:
    from sipo.datagen.storage.pair_dataset import PairDataset
    from sipo.datagen.storage.prompt_dataset import PromptDataset
    from sipo.datagen.storage.scored_dataset import ScoredDataset
    from sipo.datagen.storage.unpaired_dataset import UnpairedDataset

    learns_from = find_objective(settings.objective).data
    if learns_from == "rollouts":
        prompts = PromptDataset(folders)
        check_prompts(settings.judge, prompts.prompts, ", ".join(folders))
        return prompts
    if learns_from == "candidates":
        return ScoredDataset(folders)
    return UnpairedDataset(folders) if learns_from == "verdicts" else PairDataset(folders)


def check_judges(settings: TrainSettings, backbone: str) -> None:
    """Raises ValueError for judges of the embedded world that are to look at another model."""
    if in_embedded_world(backbone):
        return
    if settings.validation_pairs:
        names = "--validation_judge", "--validation_judge_weights"
        require_published(settings.validation_judge, settings.validation_judge_weights, *names)
    if samples_itself(settings):
        require_published(settings.judge, settings.judge_weights, "--judge", "--judge_weights")


def samples_itself(settings: TrainSettings) -> bool:
    """Whether the objective learns from what is sampled during training."""
    return find_objective(settings.objective).data == "rollouts"


def open_source(settings: TrainSettings, policy: Policy, data: Data) -> Source:
    if isinstance(data, Turns):
        return TurnSource(policy, data, settings)
    if not samples_itself(settings):
        return PairSource(policy, cast(Pairs, data), settings)
    prompts = cast("PromptDataset", data)
    weights = Path(settings.judge_weights) if settings.judge_weights else None
    judge = load_judge(settings.judge, weights, vocabulary_of(prompts.prompts))
    folder = working_folder(settings.out) / "trajectories"
    return Trajectories(policy, prompts, judge, settings, folder)


def open_backbone(settings: TrainSettings, data: Data, divided: bool = False) -> Backbone:
    """The base model; no VAE and no text encoder, their work is in the shards.

    What samples, an objective or validation, needs the whole of it. `divided` among processes: its
    weights stay in their files until each reads its share.
    """
    first, _ = split_shards(next(iter(settings.data), "."))
    name = settings.backbone or backbone_of(first, data.meta)
    check_judges(settings, name)
    samples = samples_itself(settings) or settings.validation_pairs
    with unread(divided):
        return load_backbone(
            name,
            None,
            not samples,
            base_dtype(settings),
            settings.quantize,
            expert=settings.expert or "",
        )


def base_dtype(settings: TrainSettings) -> str:
    """Frozen weights are in half precision where the arithmetic is; what is trained is float32."""
    halves = {"bf16": "bfloat16", "fp16": "float16"}
    return "float32" if settings.full else halves.get(settings.mixed_precision, "float32")


def open_validation(settings: TrainSettings, policy: Policy, data: Data) -> Validation | None:
    if not settings.validation_pairs:
        return None
    return Validation(policy, settings, Sampler.model_validate(data.meta["sampler"]))


def behaviour_of(settings: TrainSettings, data: Data, base: Backbone) -> Frozen | None:
    """Who sampled the pairs, where `--denominator behaviour` asks for it; told by their hashes."""
    if settings.denominator != "behaviour":
        return None
    candidates: dict[Frozen, str | None] = {"base": None, "init": settings.init_weights or None}
    for who, weights in candidates.items():
        if who == "base" or weights:  # loaded as for sampling: the dtype is in the hash
            dtype, bits = str(data.meta["dtype"]), str(data.meta["quantize"])
            with unread():
                sampler = load_backbone(base.name, weights, True, dtype, bits, INIT)
            if data.meta["sampled_by"] == [sampler.weights_sha256()]:
                return who
    raise ValueError(
        "--denominator 'behaviour' needs the one policy that sampled the pairs, and it is neither "
        "--backbone nor --init_weights; give its run folder as --init_weights, or take 'q' or 'ref'"
    )


def make_accelerator(settings: TrainSettings) -> Accelerator:
    """Devices and precision. A process may train several times, each with its own precision."""
    if settings.mixed_precision == "fp16" and not torch.cuda.is_available():
        raise ValueError(NO_FP16)
    if settings.mixed_precision == "bf16" and not torch.cuda.is_available() and not has_bf16():
        logging.getLogger(__name__).warning(
            "--mixed_precision bf16: this processor only emulates bfloat16, about a hundred times "
            "slower than float32; use --mixed_precision no"
        )
    AcceleratorState._reset_state()
    if "RANK" in os.environ and not torch.cuda.is_available():  # else each took itself to be alone
        os.environ.setdefault("ACCELERATE_USE_CPU", "true")
    with wrapping_is_ours():
        group = InitProcessGroupKwargs(timeout=WAIT)
        accelerator = Accelerator(mixed_precision=settings.mixed_precision, kwargs_handlers=[group])
    _leave_group_at_the_end()
    divided = settings.shard_weights and accelerator.num_processes > 1
    (give_freed_memory_back if divided else keep_freed_memory)(accelerator.device)
    use_tensor_cores(accelerator.device)
    return accelerator


@cache
def _leave_group_at_the_end() -> None:
    """Once a process, whose trainings share the group: gloo's threads would live on while the
    interpreter ends, which can abort it. NCCL's group is left as it was, for want of cards to try.
    """
    atexit.register(_leave_group)


def _leave_group() -> None:
    group = torch.distributed
    if group.is_available() and group.is_initialized() and group.get_backend() == "gloo":
        group.destroy_process_group()
