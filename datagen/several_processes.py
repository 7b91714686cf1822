"""The commands that make or change a folder, by several processes of this machine or by a Ray
cluster's workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from sipo.common.own_processes import processes_for, run_processes
from sipo.datagen.folder_settings import EncodingSettings, JudgeAgainSettings
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_summary import FolderSummary, summarize
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.prompts.prompt import Prompt


def generate(
    settings: GenerateSettings, prompts: Sequence[Prompt] | None = None, progress: bool = True
) -> FolderSummary:
    """Each of these is done by as many processes as --devices says."""
    if settings.runner == "ray":
        from sipo.datagen.generation.ray_run import generate_on_ray

        return generate_on_ray(settings, prompts, progress)
    count = processes_for(settings.devices, settings.device)
    return _by(count, partial(_generate, settings, prompts, progress), settings.out, progress)


def judge(settings: JudgeAgainSettings) -> FolderSummary:
    count = processes_for(settings.devices, "auto")
    return _by(count, partial(_judge, settings), settings.out or settings.shards)


def encode(shards: Path, how: EncodingSettings) -> FolderSummary:
    count = processes_for(how.devices, how.device)
    return _by(count, partial(_encode, shards, how), shards)


def _by(
    count: int, work: Callable[[], FolderSummary], out: Path, progress: bool = True
) -> FolderSummary:
    if count == 1:
        return work()
    run_processes(count, work, progress)
    return summarize(open_folder(out))


def _generate(
    settings: GenerateSettings, prompts: Sequence[Prompt] | None, progress: bool
) -> FolderSummary:
    from sipo.datagen.generation.run import generate

    return generate(settings, prompts, progress=progress)


def _judge(settings: JudgeAgainSettings) -> FolderSummary:
    from sipo.datagen.generation.rejudging import judge_folder

    return judge_folder(
        settings.shards,
        settings.judge,
        settings.judge_weights,
        judged_frames=settings.judged_frames,
        frame_score=settings.frame_score,
        settings=settings.judge_settings,
        out=settings.out,
    )


def _encode(shards: Path, how: EncodingSettings) -> FolderSummary:
    from sipo.datagen.encode import encode_folder

    assert how.backbone is not None
    return encode_folder(shards, how.backbone, how.batch_size, how.dtype, how.device)
