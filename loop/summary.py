"""What every round brought, read from its folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sipo.common.records import Record, read_record
from sipo.geneval.comparison.paired import compare
from sipo.geneval.evaluation_folder import SUMMARY, read_summary
from sipo.geneval.summary import EvaluationSummary
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.course import Course, Trial, is_accepted
from sipo.loop.ledger import Ledger
from sipo.loop.quality import quality_warning
from sipo.loop.refusals import no_test
from sipo.loop.result import LoopSummary, LostTraining, Quality, RoundSummary, TestSummary
from sipo.loop.reward_hacking import divergence_warning
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import turns_of
from sipo.loop.training_data import shards_name
from sipo.loop.unfinished import why_lost
from sipo.train.monitor.health import diagnose_run

STAGES = ("shards", "train", "eval", "eval-judge")


class _BestOfN(Record):
    best_of_n: float | None


class _Shards(Record):
    """Of what sipo-data says of a shard folder."""

    pairs: int
    overall: _BestOfN


def summarise(settings: LoopSettings, ledger: Ledger, course: Course) -> LoopSummary:
    """Of all that was tried."""
    rounds = _rounds(settings, ledger, course.trials)
    accepted = [entry for entry in rounds if entry.accepted]
    first, best = settings.out / "round-0", course.best
    evaluated, reason = read_summary(first / "eval", EvaluationSummary), no_test(settings)
    return LoopSummary(
        rounds=rounds,
        best=best.round,
        best_weights=None if best == BASE else best.name("train"),
        lost=[_lost(settings.out, ledger, attempt) for attempt in course.lost],
        test=[] if reason else _tests(settings.out, course.accepted),
        no_test=reason,
        warning=divergence_warning(
            [each.judge_overall for each in accepted],
            [each.overall for each in accepted],
            [each.round for each in accepted],
        ),
        quality_warning=quality_warning(accepted),
        evaluator=evaluated.detector,
        judge=read_summary(first / "eval-judge", EvaluationSummary).detector,
        settings=settings.config(),
        sampler=evaluated.sampler,
        versions=evaluated.versions,
    )


def _rounds(settings: LoopSettings, ledger: Ledger, trials: Sequence[Trial]) -> list[RoundSummary]:
    """One each, with the trainings of it that were rejected before."""
    rounds: list[RoundSummary] = []
    for trial in trials:
        entry = _attempt(settings, ledger, trial)
        if rounds and rounds[-1].round == entry.round:
            before = rounds.pop()
            entry = entry.model_copy(update={"rejected": before.attempts})
        rounds.append(entry)
    return rounds


def _attempt(settings: LoopSettings, ledger: Ledger, trial: Trial) -> RoundSummary:
    attempt, decision, out = trial.attempt, trial.decision, settings.out
    folder, trained = out / attempt.name("eval"), attempt != BASE
    evaluated = read_summary(folder, EvaluationSummary)
    gain = compare(out / "round-0" / "eval", folder) if trained else None
    sampled = _sampled(settings, attempt) if trained else []
    made = [_shards(out / name) for name in sampled]
    minutes = {name: round(ledger.minutes(attempt.name(name)), 2) for name in STAGES[1:]}
    if trained:  # a training after a rejected one learns from shards that are there
        new = sampled[attempt.number > 1 :]
        minutes = {STAGES[0]: round(sum(map(ledger.minutes, new)), 2)} | minutes
    else:
        del minutes["train"]
    return RoundSummary(
        round=attempt.round,
        attempt=attempt.number,
        accepted=is_accepted(trial),
        over=decision.over if decision else None,
        over_best=decision.difference if decision else None,
        reason=decision.reason if decision else None,
        overall=evaluated.overall,
        interval=evaluated.interval,
        tags={tag: entry.accuracy for tag, entry in evaluated.tags.items()},
        judge_overall=read_summary(out / attempt.name("eval-judge"), EvaluationSummary).overall,
        gain=gain.overall if gain else None,
        tag_gains=gain.tags if gain else None,
        empty_share=evaluated.empty_share,
        quality=read_summary(folder, Quality),
        pairs=sum(each.pairs for each in made) if trained else None,
        best_of_n=made[0].overall.best_of_n if trained else None,
        warnings=_training_warnings(out / attempt.name("train")) if trained else [],
        minutes=round(sum(minutes.values()), 2),
        stage_minutes=minutes,
    )


def _lost(out: Path, ledger: Ledger, attempt: Attempt) -> LostTraining:
    return LostTraining(
        round=attempt.round,
        attempt=attempt.number,
        reason=why_lost(out, attempt),
        minutes=round(ledger.minutes(attempt.name("train")), 2),
    )


def _sampled(settings: LoopSettings, attempt: Attempt) -> list[str]:
    """The folders of shards that it has learnt from, in the loop's; fewer where it has stopped."""
    names = (shards_name(attempt, turn) for turn in range(1, turns_of(settings) + 1))
    return [name for name in names if (settings.out / name / SUMMARY).is_file()]


def _training_warnings(run: Path) -> list[str]:
    return [str(finding) for finding in diagnose_run(run)]


def _tests(out: Path, accepted: Sequence[Attempt]) -> list[TestSummary]:
    """Of those that were tested, the base first."""
    folders = {attempt: out / attempt.name("test") for attempt in accepted}
    done = {attempt: path for attempt, path in folders.items() if (path / SUMMARY).is_file()}
    if BASE not in done:
        return []
    return [_test(attempt, path, done[BASE]) for attempt, path in done.items()]


def _test(attempt: Attempt, folder: Path, base: Path) -> TestSummary:
    evaluated = read_summary(folder, EvaluationSummary)
    return TestSummary(
        round=attempt.round,
        attempt=attempt.number,
        overall=evaluated.overall,
        interval=evaluated.interval,
        tags={tag: entry.accuracy for tag, entry in evaluated.tags.items()},
        empty_share=evaluated.empty_share,
        gain=None if attempt == BASE else compare(base, folder).overall,
    )


def _shards(folder: Path) -> _Shards:
    return read_record(folder / SUMMARY, _Shards, "run the same sipo-loop again")
