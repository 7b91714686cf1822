"""`generate --runner ray`: the shards of a folder made by workers of a Ray cluster.

The files are written by the workers, by the code that one process runs, into the one folder that
all of them see; this process claims shards, hands them out, and takes back those of workers that
died.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from sipo.common.cluster.connection import Cluster, connected
from sipo.common.cluster.crew import Actor, Crew, Ref
from sipo.common.cluster.piecework import AHEAD, Piecework
from sipo.common.cluster.runner_settings import MOST_TRIES, check_runner
from sipo.common.cluster.shares import Shares
from sipo.common.cluster.worker import Place, refuse_pipes
from sipo.common.resume_guard import first_difference
from sipo.common.shared_work import Shared
from sipo.datagen.generation.build import check_judge, check_some, check_words, load_judge_for
from sipo.datagen.generation.candidates import Track
from sipo.datagen.generation.config import known_early
from sipo.datagen.generation.prompts import asked_prompts, without_repeats
from sipo.datagen.generation.run import make_folder
from sipo.datagen.generation.shard_maker import ShardMaker
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.folder_guard import refuse_early
from sipo.datagen.storage.folder_summary import FolderSummary
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.ray_judge import judged_by
from sipo.feedback.rule.verdict import Verdict


def generate_on_ray(
    settings: GenerateSettings, prompts: Sequence[Prompt] | None = None, progress: bool = True
) -> FolderSummary:
    """As `generate`; models are loaded by the workers alone."""
    check_runner(settings)
    refuse_pipes(settings, "judge_settings")
    check_words(settings)
    asked = list(prompts) if prompts is not None else asked_prompts(settings)
    once = without_repeats(asked)
    check_some(once)
    _refuse_early(settings, once)
    check_judge(settings, once)
    with connected() as cluster, _makers(cluster, settings, asked, once) as crew:
        config = crew.first(most=-(-len(once) // settings.prompts_per_shard))
        make = partial(_make_shards, crew, settings.tries or MOST_TRIES)
        models = settings.backbone, settings.weights
        return make_folder(settings.out, config, once, models, make, progress)


def _refuse_early(settings: GenerateSettings, prompts: Sequence[Prompt]) -> None:
    """By what is known here: not which device the workers have, nor what --dtype comes to there."""
    early = known_early(settings, prompts, settings.device)
    unknown = {"device"} | ({"dtype"} if settings.dtype == "auto" else set())
    refuse_early(settings.out, {k: v for k, v in early.items() if k not in unknown})


@contextmanager
def _makers(
    cluster: Cluster, settings: GenerateSettings, asked: list[Prompt], once: list[Prompt]
) -> Iterator[Crew[FolderConfig]]:
    shares = Shares.of(settings, cluster)
    with judged_by(cluster, partial(load_judge_for, settings, once), shares) as judge:
        start = cluster.ray.remote(ShardMaker).options(
            **shares.sampler.options(), max_concurrency=AHEAD + 1, scheduling_strategy="SPREAD"
        )
        theirs = {"workers": 1, "device": shares.device(settings.device)}
        given = settings.model_copy(update=theirs), cluster.ray.put(asked), Place.here(), judge
        with Crew[FolderConfig](
            cluster,
            lambda: start.remote(*given),
            lambda: shares.wanted(cluster),
            str(shares.sampler),
        ) as crew:
            yield crew


def _make_shards(
    crew: Crew[FolderConfig], tries: int, folder: ShardFolder, work: Shared, track: Track
) -> None:
    """As `make_shards`, by the crew."""
    shared = crew.ray.put(replace(folder, path=folder.path.absolute()))

    def make(maker: Actor, number: int) -> Ref:
        return maker.make.remote(shared, number)

    def told(verdicts: list[Verdict]) -> None:
        for verdict in verdicts:
            track(verdict)

    admit = partial(_refuse_others, folder.config)
    Piecework[FolderConfig, list[Verdict]](crew, work, make, told, admit, tries).hand_out()


def _refuse_others(config: FolderConfig, worker: FolderConfig) -> None:
    """Raises ValueError for a worker that would make other shards."""
    if difference := first_difference(config.without_original(), worker.as_read()):
        raise ValueError(
            f"{difference.name} of a node is {difference.now}, of the folder {difference.before}; "
            "give all nodes the same versions, files and cards"
        )
