"""Rounds of generate -> train -> evaluate. Round 0 is the base; round k learns from round k - 1.

    OUT/round-0/eval  OUT/round-0/eval-judge
    OUT/round-1/shards  OUT/round-1/train  OUT/round-1/eval  OUT/round-1/eval-judge  ...

Every stage continues itself, and a stage that is done is not begun again.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from sipo.common.files.locks import only_writer
from sipo.common.files.text import read_json
from sipo.geneval import evaluation_folder
from sipo.geneval.comparison.paired import compare
from sipo.geneval.evaluate import evaluate
from sipo.loop.ledger import Ledger
from sipo.loop.report import write_report
from sipo.loop.reward_hacking import divergence_warning
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import check, evaluation, second_opinion, shards, training
from sipo.train.monitor.health import diagnose_run

STAGES = ("shards", "train", "eval", "eval-judge")


def loop(settings: LoopSettings) -> dict[str, Any]:
    """Run what is left of the rounds; returns and writes `loop.json`, and `report.html` beside it.

    Raises ValueError for other settings in the same folder, for what the stages refuse, and while
    another process works in it.
    """
    check(settings)
    with only_writer(settings.out, "sipo-loop"):
        return _loop(settings)


def _loop(settings: LoopSettings) -> dict[str, Any]:
    evaluation_folder.hold(settings.out, settings.config())
    ledger = Ledger(settings.out / "stages.json")
    result: dict[str, Any] = {}
    for last in range(settings.rounds + 1):
        _run(settings, ledger, last)
        result = _result(settings, ledger, last)
        evaluation_folder.write_json(settings.out / "loop.json", result)
        write_report(settings.out, result)
    return result


def _run(settings: LoopSettings, ledger: Ledger, number: int) -> None:
    """All stages of one round. What a stage writes last says that its files are there."""
    here, name = settings.out / f"round-{number}", f"round-{number}"
    if number > 0:
        generated, trained = (
            here / "shards" / evaluation_folder.SUMMARY,
            here / "train" / evaluation_folder.SUMMARY,
        )
        ledger.run(f"{name}/shards", generated, lambda: _generate(settings, number))
        ledger.run(f"{name}/train", trained, lambda: _train(settings, number))
    for stage, asked in (
        ("eval", evaluation(settings, number)),
        ("eval-judge", second_opinion(settings, number)),
    ):
        ledger.run(
            f"{name}/{stage}", here / stage / evaluation_folder.SUMMARY, partial(evaluate, asked)
        )


def _generate(settings: LoopSettings, number: int) -> None:
    from sipo.datagen.generation.run import generate

    generate(shards(settings, number))


def _train(settings: LoopSettings, number: int) -> None:
    from sipo.train.distributed.cpu_launcher import train_on_cores

    train_on_cores(training(settings, number))


def _result(settings: LoopSettings, ledger: Ledger, last: int) -> dict[str, Any]:
    """`loop.json` after round `last`."""
    rounds = [_entry(settings.out, ledger, number) for number in range(last + 1)]
    summary = evaluation_folder.read_summary(settings.out / "round-0" / "eval")
    judged = evaluation_folder.read_summary(settings.out / "round-0" / "eval-judge")
    seen = [[entry[key] for entry in rounds] for key in ("judge_overall", "overall")]
    return {
        "rounds": rounds,
        "warning": divergence_warning(*seen),
        "evaluator": summary["detector"],
        "judge": judged["detector"],
        "settings": settings.config(),
        "sampler": summary["sampler"],
        "versions": summary["versions"],
    }


def _entry(out: Path, ledger: Ledger, number: int) -> dict[str, Any]:
    here = out / f"round-{number}"
    summary = evaluation_folder.read_summary(here / "eval")
    judged = evaluation_folder.read_summary(here / "eval-judge")
    made = read_json(here / "shards" / evaluation_folder.SUMMARY) if number else None
    gain = compare(out / "round-0" / "eval", here / "eval") if number else None
    return {
        "round": number,
        "overall": summary["overall"],
        "interval": summary["interval"],
        "tags": {tag: entry["accuracy"] for tag, entry in summary["tags"].items()},
        "judge_overall": judged["overall"],
        "gain": gain and gain["overall"],
        "tag_gains": gain and gain["tags"],
        "empty_share": summary["empty_share"],
        "pairs": made and made["pairs"],
        "best_of_n": made and made["overall"]["best_of_n"],
        "warnings": [str(finding) for finding in diagnose_run(here / "train")] if number else [],
        "minutes": round(ledger.minutes(f"round-{number}/"), 2),
        "stage_minutes": {
            stage: round(ledger.minutes(f"round-{number}/{stage}"), 2)
            for stage in STAGES
            if number or stage.startswith("eval")
        },
    }
