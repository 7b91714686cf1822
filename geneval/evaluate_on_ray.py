"""`sipo-geneval --runner ray`: workers of a Ray cluster that share one evaluation.

Each does what a process does that is given the same command: it takes batches and blocks by their
leases, in the one folder that all of them see, and returns when the whole is done.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tqdm import tqdm

from sipo.common.cluster.connection import connected
from sipo.common.cluster.crew import Crew
from sipo.common.cluster.piecework import Piecework
from sipo.common.cluster.runner_settings import MOST_TRIES, OF_RAY, check_runner
from sipo.common.cluster.shares import Shares
from sipo.common.cluster.worker import Place, refuse_pipes, require_shared
from sipo.common.quiet_libraries import no_loading_bars
from sipo.feedback.judge import Judge
from sipo.feedback.ray_judge import judged_by
from sipo.geneval.evaluate import EvaluationWork, evaluate, load_backbone_for, load_judge_for, plan
from sipo.geneval.judged_blocks import BATCHES, count_blocks
from sipo.geneval.settings import EvalSettings
from sipo.geneval.summary import EvaluationSummary

LOOK_S = 5.0


class Evaluator:
    """The actor. `judge` is one in workers of its own, or None: the settings' own here."""

    def __init__(
        self, settings: EvalSettings, mark: Path, place: Place, judge: Judge | None
    ) -> None:
        self._settings, self._mark, self._place, self._judge = settings, mark, place, judge

    def load(self) -> str:
        """The models; returns where."""
        import torch

        self._place.enter()
        no_loading_bars()
        settings = self._settings
        require_shared(self._mark, settings.out)
        self._judge = self._judge or load_judge_for(settings, plan(settings).prompts)
        self._backbone = None if settings.images else load_backbone_for(settings)
        if settings.device == "cpu":
            torch.set_num_threads(1)  # as of the processes that sample on one machine
        return os.uname().nodename

    def evaluate(self, rank: int, count: int) -> EvaluationSummary:
        """All of it, with `count` - 1 others."""
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
        return evaluate(self._settings, self._backbone, self._judge)


class Turns:
    """A piece for each worker: the whole evaluation, of which it does what the others leave."""

    def __init__(self, count: int) -> None:
        self.left = set(range(count))

    def claimed(self) -> Iterator[int]:
        yield from sorted(self.left)

    def made(self, number: int) -> None:
        self.left.discard(number)

    def again(self, number: int) -> None:
        """What it had leased is free when its process is seen to be gone."""

    def name_of(self, number: int) -> str:
        return "the evaluation"


def evaluate_on_ray(settings: EvalSettings) -> EvaluationSummary:
    """As `evaluate`; models are loaded by the workers alone."""
    check_runner(settings)
    refuse_pipes(settings, "judge_settings", "prompts")
    work = plan(settings)
    made: list[EvaluationSummary] = []
    with connected() as cluster:
        shares = Shares.of(settings, cluster)
        judge_of = partial(load_judge_for, settings, work.prompts)
        with judged_by(cluster, judge_of, shares) as judge, _mark(settings.out) as mark:
            start = cluster.ray.remote(Evaluator).options(
                **shares.sampler.options(), scheduling_strategy="SPREAD"
            )
            given = _theirs(settings, shares), mark, Place.here(), judge
            count = shares.wanted(cluster)
            with (
                closing(Bar(settings, work)) as bar,
                Crew[str](
                    cluster, lambda: start.remote(*given), lambda: count, str(shares.sampler)
                ) as crew,
            ):
                Piecework[str, EvaluationSummary](
                    crew,
                    Turns(count),
                    lambda actor, number: actor.evaluate.remote(number, count),
                    made.append,
                    lambda said: None,
                    settings.tries or MOST_TRIES,
                    ahead=1,
                    look=bar.look,
                ).hand_out()
    return made[0]


def _theirs(settings: EvalSettings, shares: Shares) -> EvalSettings:
    """What one worker is asked: the same, of one process."""
    alone: dict[str, object] = {"runner": "local", **dict.fromkeys(OF_RAY)}
    if not settings.images:
        alone |= {"workers": 1, "device": shares.device(settings.device)}
    return settings.model_copy(update=alone)


@contextmanager
def _mark(folder: Path) -> Iterator[Path]:
    """A file of the folder: a worker that does not see it is elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = folder / f".ray-{uuid.uuid4().hex}.tmp"
    mark.touch()
    try:
        yield mark
    finally:
        mark.unlink(missing_ok=True)


class Bar:
    """What is done, as the folder shows it: images, then blocks of verdicts."""

    def __init__(self, settings: EvalSettings, work: EvaluationWork) -> None:
        count = sum(map(len, work.samples or ())) or len(work.prompts) * settings.images_per_prompt
        self._settings, self._bar, self._next = settings, tqdm(total=count, unit="img"), 0.0

    def look(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + LOOK_S
        done = plan(self._settings).images_there
        self._bar.set_description("Sampling", refresh=False)
        if done == self._bar.total:
            blocks = count_blocks(self._settings.out)
            done = min(done, blocks * BATCHES * self._settings.batch_size)
            self._bar.set_description("Judging", refresh=False)
        self._bar.n = done
        self._bar.refresh()

    def close(self) -> None:
        self._bar.close()
