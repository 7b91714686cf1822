"""From settings to what a run needs: prompts, models and the configuration they make up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.editing import require_editor
from sipo.backbones.faster import refuse_unavailable, speed_up
from sipo.backbones.placement import place
from sipo.backbones.registry import DTYPES, load_backbone
from sipo.backbones.text_limits import say_lost
from sipo.common.cpu_workers import workers_for
from sipo.common.devices import dtype_on, find_device
from sipo.datagen.generation import sampling
from sipo.datagen.generation.allocation import check_allocation
from sipo.datagen.generation.candidates import files_of
from sipo.datagen.generation.config import config_of, known_early
from sipo.datagen.generation.pairing import check_policy
from sipo.datagen.generation.prompts import (
    asked_prompts,
    check_pictures,
    check_some,
    without_repeats,
)
from sipo.datagen.generation.types import Batch, Candidate, Judged, Kept, Request
from sipo.datagen.refusals import check_judge
from sipo.datagen.settings import GenerateSettings, check_models
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.folder_guard import refuse_early
from sipo.feedback.ensemble import require_company
from sipo.feedback.frames import judge_for
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.registry import load_judge, vocabulary_of


@dataclass(frozen=True)
class Job:
    """What a run of `generate` needs."""

    prompts: Sequence[Prompt]
    backbone: Backbone
    judge: Judge
    sampler: Sampler
    config: FolderConfig
    workers: int = 1
    weights: Path | None = None  # of a trained policy, on the backbone

    def sample(self, batch: Batch[Request]) -> Batch[Candidate]:
        size = len(batch.items)
        sampled = sampling.sample(batch.items, self.backbone, self.sampler, size)
        return Batch(batch.shard, list(sampled), batch.last)

    def verdicts(self, batch: Batch[Candidate]) -> list[Judged]:
        judged = sampling.judge(batch.items, self.judge, len(batch.items))
        return [candidate.judged for candidate in judged]

    def files(self, candidate: Candidate) -> dict[str, bytes]:
        return files_of(candidate, self.config.suffix)

    def make(self, batch: Batch[Request]) -> Batch[Kept]:
        """Sample and judge one batch, and encode what is kept of it."""
        sampled = self.sample(batch)
        files = map(self.files, sampled.items)
        kept = [Kept(*one) for one in zip(self.verdicts(sampled), files, strict=True)]
        return Batch(batch.shard, kept, batch.last)


def check_clip_settings(settings: GenerateSettings, backbone: Backbone) -> None:
    """Raises ValueError for a setting of clips where the backbone makes images."""
    given = sorted({"frames", "judged_frames", "frame_score"} & settings.model_fields_set)
    if given and backbone.fps is None:
        raise ValueError(
            f"--{given[0].replace('_', '-')} {getattr(settings, given[0])} has no effect: "
            f"{settings.backbone!r} makes images, not clips; leave it out"
        )


def check_words(settings: GenerateSettings, names_model: bool = True) -> None:
    """Raises ValueError for what can be seen to be wrong in settings alone."""
    check_policy(settings.policy)
    if settings.dtype not in ("auto", *DTYPES):
        known = ", ".join(["auto", *DTYPES])
        raise ValueError(f"--dtype {settings.dtype!r} is unknown; choose one of {known}")
    if names_model:
        check_models(settings)


def load_judge_for(settings: GenerateSettings, prompts: Sequence[Prompt]) -> Judge:
    named, classes = (settings.judge, settings.judge_weights), vocabulary_of(prompts)
    return load_judge(*named, classes, settings.judge_settings)


def prepare(
    settings: GenerateSettings,
    prompts: Sequence[Prompt] | None = None,
    backbone: Backbone | None = None,
    judge: Judge | None = None,
    continuing: bool = True,
) -> Job:
    """Everything a user can get wrong is found here, cheapest first. Writes nothing.

    `continuing`: what is in the folder must be this command's.
    """
    check_words(settings, names_model=backbone is None)
    device = find_device(settings.device)
    settings = settings.model_copy(update={"dtype": dtype_on(device, settings.dtype)})
    refuse_unavailable(
        device,
        settings.compile,
        settings.fp8,
        settings.dtype,
        settings.quantize,
        settings.offload,
    )
    workers = workers_for(device.type, settings.workers)
    asked = list(prompts) if prompts is not None else asked_prompts(settings)
    once = without_repeats(asked)
    check_some(once)
    check_pictures(once)
    if continuing:
        early = known_early(settings, once, device.type)
        given = {"backbone": backbone, "judge": judge}
        refuse_early(settings.out, {k: v for k, v in early.items() if given.get(k) is None})
    if judge is None:
        check_judge(settings, once)
        judge = load_judge_for(settings, once)
    if settings.allocate:
        check_allocation(settings.candidates, judge)
    require_company(judge, settings.batch_size, settings.candidates)
    if backbone is None:
        backbone = load_backbone(
            settings.backbone,
            settings.weights,
            dtype=settings.dtype,
            quantize=settings.quantize,
        )
        place(backbone, device, settings.offload)
    check_clip_settings(settings, backbone)
    if once[0].before is not None:
        require_editor(backbone)
    say_lost(backbone, [prompt.text for prompt in once])
    clips = backbone.fps is not None
    judge = judge_for(judge, clips, settings.judged_frames, settings.frame_score)
    sampler = backbone.sized(settings.sampler(backbone.default_sampler))
    repeated = len(asked) - len(once)
    config = config_of(settings, once, repeated, backbone, sampler, judge, device.type)
    speed_up(backbone, sampler)
    return Job(once, backbone, judge, sampler, config, workers, settings.weights)
