"""Rounds of generate -> train -> evaluate. Round 0 is the base; round k learns from round k - 1.

    OUT/round-0/eval  OUT/round-0/eval-judge
    OUT/round-1/shards  OUT/round-1/train  OUT/round-1/eval  OUT/round-1/eval-judge  ...

A stage is one settings object and one function that takes it. Every stage continues itself, and a
stage that is done is not begun again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sipo.common.files.locks import only_writer
from sipo.common.fitting_batches import give_back_memory
from sipo.geneval import evaluation_folder
from sipo.geneval.evaluate import evaluate
from sipo.loop.ledger import Ledger
from sipo.loop.report import write_report
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import check, evaluation, second_opinion, shards, training
from sipo.loop.summary import LoopSummary, summarise

if TYPE_CHECKING:
    from sipo.datagen.settings import GenerateSettings
    from sipo.train.settings import TrainSettings


def loop(settings: LoopSettings) -> LoopSummary:
    """Run what is left of the rounds; returns and writes `loop.json`, and `report.html` beside it.

    Raises ValueError for other settings in the same folder, for what the stages refuse, and while
    another process works in it.
    """
    check(settings)
    with only_writer(settings.out, "sipo-loop"):
        evaluation_folder.hold(settings.out, settings.config())
        ledger = Ledger(settings.out / "stages.json")
        for number in range(settings.rounds + 1):
            _run(settings, ledger, number)
            summary = summarise(settings, ledger, number)
            evaluation_folder.write_json(settings.out / "loop.json", summary.to_dict())
            write_report(settings.out, summary)
    return summary


def _run(settings: LoopSettings, ledger: Ledger, number: int) -> None:
    """All stages of one round. What a stage writes last says that its files are there."""
    for stage, work in _stages(settings, number):
        name = f"round-{number}/{stage}"
        ledger.run(name, settings.out / name / evaluation_folder.SUMMARY, work)
        give_back_memory()  # the next stage's models need the place of this one's


def _stages(settings: LoopSettings, number: int) -> Iterator[tuple[str, Callable[[], object]]]:
    if number > 0:
        yield "shards", lambda: _generate(shards(settings, number))
        yield "train", lambda: _train(training(settings, number))
    yield "eval", lambda: evaluate(evaluation(settings, number))
    yield "eval-judge", lambda: evaluate(second_opinion(settings, number))


def _generate(asked: GenerateSettings) -> None:
    from sipo.datagen.generation.run import generate

    generate(asked)


def _train(asked: TrainSettings) -> None:
    from sipo.train.distributed.cpu_launcher import train_on_cores

    train_on_cores(asked)
