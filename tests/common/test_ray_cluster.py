"""Work for a Ray cluster, as far as no cluster is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import pytest
from click.testing import CliRunner
from needs import needs

from sipo.common.cluster.connection import Cluster, Share
from sipo.common.cluster.given_work import GivenWork
from sipo.common.cluster.runner_settings import check_runner
from sipo.common.cluster.worker import refuse_pipes
from sipo.common.shared_work import Work
from sipo.datagen.api import generate
from sipo.datagen.cli import main
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.geneval.settings import EvalSettings

PATIENCE_S = 30


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(3) as pool:
        yield pool


def test_a_piece_that_is_given_in_time_follows_on_the_one_before(
    threads: ThreadPoolExecutor,
) -> None:
    both_given, runs = Event(), []

    def make_all(work: Work) -> None:
        claimed = work.claimed()
        first = next(claimed)
        assert both_given.wait(PATIENCE_S)
        second = next(claimed)
        work.made(first)
        work.made(second)
        runs.append([first, second, *claimed])

    given = GivenWork(make_all)
    made = [threads.submit(given.make, number) for number in (3, 5)]
    while len(given._waiting) < 2:
        pass
    both_given.set()
    assert [one.result(PATIENCE_S) for one in made] == [None, None]
    assert sorted(runs[0]) == [3, 5]


def test_what_is_raised_is_raised_for_what_was_begun_and_the_rest_goes_on(
    threads: ThreadPoolExecutor,
) -> None:
    all_given = Event()

    def make_all(work: Work) -> None:
        for number in work.claimed():
            assert all_given.wait(PATIENCE_S)
            if number == 0:
                raise OSError("broken")
            work.made(number)

    given = GivenWork(make_all)
    made = [threads.submit(given.make, number) for number in (0, 1, 2)]
    while len(given._waiting) < 3:
        pass
    all_given.set()
    with pytest.raises(OSError, match="broken"):
        made[0].result(PATIENCE_S)
    assert [one.result(PATIENCE_S) for one in made[1:]] == [None, None]


def test_what_was_begun_and_is_not_made_is_an_error() -> None:
    with pytest.raises(AssertionError, match="begun and not made"):
        GivenWork(lambda work: list(work.claimed()) and None).make(1)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"gpus_per_worker": 0.5}, "--gpus-per-worker 0.5 has no effect without --runner ray"),
        ({"tries": 2}, "--tries 2 has no effect without --runner ray"),
        ({"runner": "ray", "judge_gpus": 1.5}, "--judge-gpus 1.5 is more than one card"),
        ({"runner": "ray", "judge_workers": 2}, "--judge-workers 2 has no effect without --judge-"),
    ],
)
def test_settings_that_cannot_be_met(asked: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check_runner(GenerateSettings.model_validate(asked))


def test_what_only_this_process_can_read_is_refused() -> None:
    settings = EvalSettings.model_validate({"prompts": "-", "judge_settings": __file__})
    refuse_pipes(settings, "judge_settings", "judge_weights")
    with pytest.raises(ValueError, match=r"^--prompts '-' is a pipe"):
        refuse_pipes(settings, "judge_settings", "prompts")


def test_without_ray_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    asked = ["generate", "--runner", "ray", "--num-prompts", "1", "--judge", "fake"]
    result = CliRunner().invoke(main, [*asked, "--out", "/nowhere/shards"])
    assert result.exit_code == 2
    says = "Error: --runner 'ray' needs the package ray; pip install 'sipo[ray]'\n"
    assert result.output == says


@needs("ray", "ray")
def test_a_loaded_judge_is_not_sent_to_workers() -> None:
    with pytest.raises(ValueError, match=r"^runner='ray' loads models in its workers, and judge "):
        generate(["a cat"], judge=FakeJudge(), runner="ray")


NODES = [
    {"Alive": True, "Resources": {"CPU": 16.0, "GPU": 4.0}},
    {"Alive": True, "Resources": {"CPU": 3.0, "GPU": 8.0}},
    {"Alive": False, "Resources": {"CPU": 16.0, "GPU": 8.0}},
    {"Alive": True, "Resources": {"CPU": 2.0}},
]


@pytest.mark.parametrize(
    ("gpus", "judge_gpus", "judges", "workers"),
    [
        (1, None, 0, 4 + 3),
        (0.5, None, 0, 8 + 3),
        (0.4, None, 0, 8 + 3),  # two on a card: a worker's part is of one
        (2, None, 0, 2 + 3),
        (0, None, 0, 16 + 3 + 2),
        (16, None, 0, 1),  # none yet: a cluster that can grow is asked for one
        (1, 0.25, 2, 7 - 1),
        (0.75, 0.25, 2, 4 + 3),
        (0, 0.0, 2, 21 - 2),
        (1, 0.0, 2, 7),
    ],
)
def test_as_many_as_the_cluster_holds(
    gpus: float, judge_gpus: float | None, judges: int, workers: int
) -> None:
    cluster = Cluster(SimpleNamespace(nodes=lambda: NODES))
    judge = None if judge_gpus is None else Share.with_gpus(judge_gpus)
    assert cluster.room_for(Share.with_gpus(gpus), judge, judges) == workers
    assert cluster.has_cards


def test_one_machine_that_has_no_room_is_said() -> None:
    cluster = Cluster(SimpleNamespace(nodes=lambda: NODES[3:]), may_grow=False)
    assert cluster.room_for(Share.with_gpus(0)) == 2
    with pytest.raises(ValueError, match=r"no room for a worker, .* 1 CPU and 0\.5 GPU;"):
        cluster.room_for(Share.with_gpus(0.5))
