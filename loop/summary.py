"""`loop.json`: what every round brought, and what it depends on."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from sipo.common.records import Record, read_record
from sipo.common.statistics import Difference, Interval
from sipo.geneval.comparison.paired import compare
from sipo.geneval.evaluation_folder import SUMMARY, read_summary
from sipo.geneval.summary import EvaluationSummary
from sipo.loop.ledger import Ledger
from sipo.loop.reward_hacking import divergence_warning
from sipo.loop.settings import LoopSettings
from sipo.train.monitor.health import diagnose_run

STAGES = ("shards", "train", "eval", "eval-judge")


class RoundSummary(Record):
    """Round 0 is the base, which has no gain, no pairs and no training."""

    round: int
    overall: float  # by the evaluator, on held-out prompts
    interval: Interval | None
    tags: dict[str, float]  # accuracies
    judge_overall: float  # the same images by the judge that chooses winners
    gain: Difference | None  # over round 0
    tag_gains: dict[str, Difference] | None
    empty_share: float  # of images without any object
    pairs: int | None
    best_of_n: float | None
    warnings: list[str] = Field(default=[])  # of the training
    minutes: float
    stage_minutes: dict[str, float]


class LoopSummary(Record):
    rounds: list[RoundSummary]
    warning: str | None  # where the judge and the evaluator part
    evaluator: dict[str, object]
    judge: dict[str, object]
    settings: dict[str, object]
    sampler: dict[str, object] | None
    versions: dict[str, str]


class _BestOfN(Record):
    best_of_n: float | None


class _Shards(Record):
    """Of what sipo-data says of a shard folder."""

    pairs: int
    overall: _BestOfN


def summarise(settings: LoopSettings, ledger: Ledger, last: int) -> LoopSummary:
    """After round `last`."""
    rounds = [_round(settings.out, ledger, number) for number in range(last + 1)]
    first = settings.out / "round-0"
    evaluated = read_summary(first / "eval", EvaluationSummary)
    return LoopSummary(
        rounds=rounds,
        warning=divergence_warning(
            [each.judge_overall for each in rounds], [each.overall for each in rounds]
        ),
        evaluator=evaluated.detector,
        judge=read_summary(first / "eval-judge", EvaluationSummary).detector,
        settings=settings.config(),
        sampler=evaluated.sampler,
        versions=evaluated.versions,
    )


def _round(out: Path, ledger: Ledger, number: int) -> RoundSummary:
    folder = out / f"round-{number}"
    evaluated = read_summary(folder / "eval", EvaluationSummary)
    gain = compare(out / "round-0" / "eval", folder / "eval") if number else None
    made = _shards(folder / "shards") if number else None
    return RoundSummary(
        round=number,
        overall=evaluated.overall,
        interval=evaluated.interval,
        tags={tag: entry.accuracy for tag, entry in evaluated.tags.items()},
        judge_overall=read_summary(folder / "eval-judge", EvaluationSummary).overall,
        gain=gain.overall if gain else None,
        tag_gains=gain.tags if gain else None,
        empty_share=evaluated.empty_share,
        pairs=made.pairs if made else None,
        best_of_n=made.overall.best_of_n if made else None,
        warnings=[str(finding) for finding in diagnose_run(folder / "train")] if number else [],
        minutes=round(ledger.minutes(f"round-{number}/"), 2),
        stage_minutes={
            stage: round(ledger.minutes(f"round-{number}/{stage}"), 2)
            for stage in STAGES
            if number or stage.startswith("eval")
        },
    )


def _shards(folder: Path) -> _Shards:
    return read_record(folder / SUMMARY, _Shards, "run the same sipo-loop again")
