"""Rounds of generate -> train -> evaluate. Round 0 is the base; a round that its validation rejects
is trained again at half the learning rate, then skipped; the halved rate stays.

    OUT/round-0/eval  OUT/round-0/eval-judge
    OUT/round-1/prompts.jsonl  OUT/round-1/shards  OUT/round-1/train  OUT/round-1/eval  ...
    OUT/round-1/prompts-2.jsonl  OUT/round-1/shards-2  ...  of round-1/train as it was by then
    OUT/round-2/train-2  OUT/round-2/eval-2  ...  where round-2/train was rejected
    OUT/round-0/test  OUT/round-2/test-2  OUT/best -> round-2/train-2

A stage is one settings object and one function that takes it. Every stage continues itself, and a
stage that is done is not begun again.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.backbones.loading.trained_weights import DENOISERS, LORA_FILE
from sipo.common.bars import say
from sipo.common.files.locks import only_writer
from sipo.common.files.urls import UrlPath
from sipo.common.fitting_batches import give_back_memory
from sipo.common.markdown_card import CARD
from sipo.geneval import evaluation_folder
from sipo.geneval.evaluate import evaluate
from sipo.loop.acceptance import decide, gain
from sipo.loop.attempts import ATTEMPTS, BASE, Attempt
from sipo.loop.best_card import PICTURES, write_best_card
from sipo.loop.course import Course
from sipo.loop.ledger import Ledger
from sipo.loop.refusals import check, no_test
from sipo.loop.report import write_report
from sipo.loop.result import LoopSummary
from sipo.loop.round_prompts import kept_prompts
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import (
    beginning,
    evaluation,
    final_test,
    mid_weights,
    second_opinion,
    shards,
    trained_weights,
    training,
    turns_of,
)
from sipo.loop.summary import summarise
from sipo.loop.training_data import shards_name, training_data
from sipo.loop.unfinished import has_stopped, is_lost

if TYPE_CHECKING:
    from sipo.datagen.settings import GenerateSettings
    from sipo.feedback.prompts.prompt import Prompt
    from sipo.train.settings import TrainSettings

Stages = Iterator[tuple[str, Callable[[], object]]]
"""A stage's folder in the loop's, and its work."""
BEST = "best"


def loop(settings: LoopSettings) -> LoopSummary:
    """Run what is left of the rounds; returns and writes `loop.json`, and `report.html` beside it.

    Raises ValueError for other settings in the same folder, for what the stages refuse, and while
    another process works in it.
    """
    check(settings)
    with only_writer(settings.out, "sipo-loop"):
        evaluation_folder.hold(settings.out, settings.config())
        ledger, course = Ledger(settings.out / "stages.json"), Course()
        if _run(settings, ledger, _evaluations(settings, BASE)):
            _write(settings, ledger, course)
        for number in range(1, settings.rounds + 1):
            if settings.patience and course.idle >= settings.patience:
                break
            policy = beginning(settings, course)
            weights = trained_weights(settings, policy)
            _run(settings, ledger, _sampling(settings, Attempt(number), weights))
            for attempt in (Attempt(number, again + 1) for again in range(ATTEMPTS)):
                news = _run(settings, ledger, _attempt(settings, attempt, policy, course.slower))
                course = _judged(settings, course, attempt)
                if news:  # or a loop that goes on would write what it has written
                    _write(settings, ledger, course)
                if course.now == attempt:
                    break
        if no_test(settings) is None:
            _run(settings, ledger, _tests(settings, course))
        return _write(settings, ledger, course)


def _judged(settings: LoopSettings, course: Course, attempt: Attempt) -> Course:
    """With what its validation says of it."""
    if is_lost(settings.out, attempt):
        return course.without(attempt)
    decision = decide(settings.out, attempt, course.best, course.now, settings.tolerance)
    since = gain(settings.out, course.mark, attempt)
    return course.after(attempt, decision, since.clear and since.difference > 0)


def _run(settings: LoopSettings, ledger: Ledger, stages: Stages) -> bool:
    """What a stage writes last says that its files are there. Whether anything was to do."""
    news = False
    for name, work in stages:
        folder = settings.out / name.split(", ")[0]  # of several parts it is one
        told = partial(_told, settings.out / name, work)
        news |= ledger.run(name, folder / evaluation_folder.SUMMARY, told)
        give_back_memory()  # the next stage's models need the place of this one's
    return news


def _told(stage: Path, work: Callable[[], object]) -> None:
    """Whose bars the next ones are."""
    say(str(stage))
    work()


def _sampling(
    settings: LoopSettings, attempt: Attempt, weights: Path | None, turn: int = 1
) -> Stages:
    """The first sampling of a round is its own, whichever training learns from it."""
    again = f"-{turn}" if turn > 1 else ""
    file = settings.out / f"round-{attempt.round}" / f"prompts{again}.jsonl"
    number = (attempt.round - 1) * turns_of(settings) + turn - 1

    def work() -> None:
        prompts = kept_prompts(settings, number, file)
        _generate(shards(settings, attempt, weights, turn), prompts)

    yield shards_name(attempt, turn), work


def _attempt(settings: LoopSettings, attempt: Attempt, policy: Attempt, slower: float) -> Stages:
    name, count = attempt.name("train"), turns_of(settings)
    for turn in range(1, count + 1):
        if turn > 1:
            if has_stopped(settings.out, attempt):
                break
            yield from _sampling(settings, attempt, mid_weights(settings, attempt, turn), turn)
        part = f", part {turn}" if count > 1 else ""
        yield f"{name}{part}", partial(_train_on, settings, attempt, policy, slower, turn)
    if not is_lost(settings.out, attempt):
        yield from _evaluations(settings, attempt)


def _train_on(
    settings: LoopSettings, attempt: Attempt, policy: Attempt, slower: float, turn: int
) -> None:
    """The whole training, as far as there are shards for it."""
    data = training_data(settings, attempt, turn)
    _train(training(settings, attempt, policy, data, slower), settings.devices)


def _evaluations(settings: LoopSettings, attempt: Attempt) -> Stages:
    yield attempt.name("eval"), lambda: evaluate(evaluation(settings, attempt))
    yield attempt.name("eval-judge"), lambda: evaluate(second_opinion(settings, attempt))


def _tests(settings: LoopSettings, course: Course) -> Stages:
    tested = course.accepted if settings.test_every_round else {BASE: 0, course.best: 0}
    for attempt in tested:
        yield attempt.name("test"), partial(evaluate, final_test(settings, attempt))


def _write(settings: LoopSettings, ledger: Ledger, course: Course) -> LoopSummary:
    """`loop.json`, `report.html`, the best policy's card and the link to it."""
    summary = summarise(settings, ledger, course)
    evaluation_folder.write_json(settings.out / "loop.json", summary.to_dict())
    write_report(settings.out, summary)
    write_best_card(settings.out, summary)
    _link(settings.out / BEST, trained_weights(settings, course.best))
    return summary


def _link(link: Path, weights: Path | None) -> None:
    """To the best policy, beside it; there is none for the base. A store has no links: a copy."""
    if isinstance(link, UrlPath):
        _copy(link, weights)
        return
    beside = link.with_name(f".{link.name}.tmp")
    for old in (beside, link):
        if old.is_dir() and not old.is_symlink():  # of a copy that followed links
            shutil.rmtree(old)
    beside.unlink(missing_ok=True)
    if weights is None:
        link.unlink(missing_ok=True)
    else:
        beside.symlink_to(weights.relative_to(link.parent))
        os.replace(beside, link)


def _copy(target: UrlPath, weights: Path | None) -> None:
    for name in target.files():
        (target / name).unlink(missing_ok=True)
    if weights is None:
        return
    assert isinstance(weights, UrlPath)
    for name in weights.files():
        if name.partition("/")[0] in (LORA_FILE, *DENOISERS, CARD, PICTURES):
            (weights / name).copy_to(target / name)


def _generate(asked: GenerateSettings, prompts: list[Prompt]) -> None:
    from sipo.datagen.several_processes import generate

    generate(asked, prompts)


def _train(asked: TrainSettings, devices: str) -> None:
    from sipo.train.distributed.card_launcher import train_on_devices

    train_on_devices(asked, devices)
