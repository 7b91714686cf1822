"""A judge in workers of its own, which those who sample share: it is loaded once for many cards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import count
from typing import Any

from PIL import Image

from sipo.common.cluster.connection import Cluster
from sipo.common.cluster.crew import MOST_DEATHS
from sipo.common.cluster.shares import Shares
from sipo.common.cluster.worker import Place
from sipo.common.resume_guard import first_difference
from sipo.feedback.judge import Judge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict


class JudgeWorker:
    """The actor. Ray starts it again where it dies, and asks it again."""

    def __init__(self, load: Callable[[], Judge], place: Place) -> None:
        self._load, self._place = load, place

    @cached_property
    def _judge(self) -> Judge:
        self._place.enter()
        return self._load()

    def describe(self) -> dict[str, object]:
        return self._judge.describe()

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return self._judge.judge(images, prompts)


class RemoteJudge:
    """A judge for any process of the cluster: its batches go to the workers in turn."""

    def __init__(self, workers: Sequence[Any], described: dict[str, object]) -> None:
        self._workers, self._described, self._turn = workers, described, count()

    def describe(self) -> dict[str, object]:
        return self._described

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        worker = self._workers[next(self._turn) % len(self._workers)]
        verdicts: list[Verdict] = asked(worker.judge.remote(images, prompts))
        return verdicts


@contextmanager
def judged_by(
    cluster: Cluster, load: Callable[[], Judge], shares: Shares
) -> Iterator[RemoteJudge | None]:
    """By workers that are there when the block begins and gone when it has ended; None where the
    judge is to have none of its own.

    Raises what `load` does, and ValueError where they are not all the same judge.
    """
    if shares.judge is None:
        yield None
        return
    start = cluster.ray.remote(JudgeWorker).options(
        **shares.judge.options(), max_restarts=MOST_DEATHS, max_task_retries=MOST_DEATHS
    )
    workers = [start.remote(load, Place.here()) for _ in range(shares.judges)]
    try:
        answers = [worker.describe.remote() for worker in workers]
        cluster.wait_for(answers, f"a judge, which needs {shares.judge}")
        described = [asked(answer) for answer in answers]
        for other in described[1:]:
            if difference := first_difference(described[0], other):
                raise ValueError(
                    f"the judges of two workers differ: {difference.name} is {difference.before} "
                    f"and {difference.now}; give all nodes the same files and versions"
                )
        yield RemoteJudge(workers, described[0])
    finally:
        for worker in workers:
            cluster.ray.kill(worker)


def asked(answer: Any) -> Any:
    """What an actor answers. Raises what it raised there, as if it had been here."""
    import ray

    try:
        return ray.get(answer)
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
