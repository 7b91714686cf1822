"""What a folder holds: accuracy by tag, best of N, pairs, what was lost, why images fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from itertools import chain, groupby
from statistics import fmean
from sys import intern
from typing import NamedTuple

from sipo.common.files.writing import write_json
from sipo.datagen.storage.decisions import Decisions, PairName, ReviewCounts, names_of
from sipo.datagen.storage.folder_config import FolderConfig, Opinion
from sipo.datagen.storage.sample_json import candidate_rows
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CandidateFacts, PairFacts
from sipo.feedback.complaint_table import ComplaintCount, complaint_lines, count_complaints
from sipo.feedback.prompts.prompt import TAGS


@dataclass(frozen=True)
class Scores:
    """Of all candidates or those of a tag. Failed verdicts are left out of what is a mean; None is
    the mean of nothing, so that a missing number is not read as a bad one."""

    candidates: int
    accuracy: float | None  # the share that is correct
    mean_score: float | None
    best_of_n: float | None  # the share of prompts with a correct candidate
    mean_best_score: float | None  # of the best candidates of prompts
    pairs: int


@dataclass(frozen=True)
class DroppedPairs:
    """Pairs that were proposed and not kept."""

    ties: int = 0
    under_margin: int = 0
    over_cap: int = 0


@dataclass(frozen=True)
class ImportedRows:
    rows: int  # read of the source
    dropped: dict[str, int]  # of those, by cause


@dataclass(frozen=True)
class Allocated:
    """Of --allocate: which prompts verdicts gave more candidates, and how many."""

    always_right: int  # prompts
    never_right: int
    mixed: int  # right and wrong
    extra_candidates: int  # over the first of each prompt
    not_sampled: int  # in shards where no prompt was mixed


@dataclass(frozen=True)
class FolderSummary:
    """`summary.json`; what is None is not in it."""

    prompts: int
    repeated_prompts: int  # left out: another had the same text
    prompts_without_pairs: int
    candidates: int
    pairs: int
    mean_margin: float | None
    dropped: DroppedPairs
    failures: dict[str, int]  # failed verdicts by cause
    overall: Scores
    tags: dict[str, Scores]
    complaints: list[ComplaintCount]  # none of people, who say no more than "not preferred"
    imported: ImportedRows | None
    allocated: Allocated | None
    original: Opinion | None  # judge and pairing that it began with, where they are others now
    review: ReviewCounts | None  # where people have looked

    def to_dict(self) -> dict[str, object]:
        """As `summary.json` has it."""
        row = asdict(self) | {"import": self.imported and asdict(self.imported)}
        row |= {"original": self.original and self.original.as_read()}
        left_out = {"imported"} | {name for name in _OPTIONAL if row[name] is None}
        return {name: value for name, value in row.items() if name not in left_out}


class Seen(NamedTuple):
    """Of a candidate what is counted, `prompt` as the folder numbers it; there may be millions."""

    prompt: int
    tag: str
    score: float | None
    correct: bool
    failure: str | None

    @classmethod
    def of(cls, facts: CandidateFacts, before: int) -> Seen:
        place = facts.prompt + before
        return cls(place, intern(facts.tag), facts.score, facts.correct, facts.failure)


class SeenPair(NamedTuple):
    prompt: int
    tag: str
    margin: float

    @classmethod
    def of(cls, facts: PairFacts, before: int) -> SeenPair:
        return cls(facts.prompt + before, intern(facts.tag), facts.margin)


_DROPPED = tuple(field.name for field in fields(DroppedPairs))
_OPTIONAL = ("import", "allocated", "original", "review")


def finish(folder: ShardFolder) -> FolderSummary:
    """Write `summary.json`, last of all."""
    summary = summarize(folder)
    write_json(folder.path / "summary.json", summary.to_dict(), indent=2)
    return summary


def summarize(folder: ShardFolder) -> FolderSummary:
    """Raises ValueError for a shard that is not done."""
    config, decisions = folder.config, Decisions(folder)
    candidates: list[Seen] = []
    pairs: list[SeenPair] = []
    names: list[PairName] = []
    dropped: Counter[str] = Counter()
    for number in folder.numbers:
        candidates += _candidates_of(folder, number)
        index, before = folder.pairs(number), folder.part_of(number).first_prompt
        pairs += [SeenPair.of(facts, before) for facts in index.samples.values()]
        if decisions:
            names += names_of(folder, number).values()
        dropped.update({name: getattr(index, name) for name in _DROPPED})
    failures = Counter(facts.failure for facts in candidates if facts.failure is not None)
    prompts, of_tag = config.prompts.count or 0, {facts.tag for facts in candidates}
    verdicts = (
        (row.prompt, row.verdict)
        for number in (() if config.judged_by_people else folder.numbers)
        for _, row in candidate_rows(folder, number)
    )
    return FolderSummary(
        prompts=prompts,
        repeated_prompts=config.prompts.repeated,
        prompts_without_pairs=prompts - len({facts.prompt for facts in pairs}),
        candidates=len(candidates),
        pairs=len(pairs),
        mean_margin=_mean(facts.margin for facts in pairs),
        dropped=DroppedPairs(**dropped),
        failures=dict(failures),
        overall=_scores(candidates, pairs),
        tags={tag: _scores(candidates, pairs, tag) for tag in TAGS if tag in of_tag},
        complaints=count_complaints(verdicts),
        imported=ImportedRows(rows=config.rows, dropped=config.dropped)
        if config.is_import
        else None,
        allocated=_allocated(config, candidates) if config.allocate else None,
        original=config.original,
        review=decisions.count(names) if decisions else None,
    )


def _candidates_of(folder: ShardFolder, number: int) -> list[Seen]:
    """Of a shard, with the numbers of prompts that the whole folder has."""
    before = folder.part_of(number).first_prompt
    return [Seen.of(facts, before) for facts in folder.candidates(number).samples.values()]


def count_allocated(folder: ShardFolder) -> Allocated | None:
    """None where every prompt has as many candidates."""
    if not folder.config.allocate:
        return None
    seen = chain.from_iterable(_candidates_of(folder, number) for number in folder.numbers)
    return _allocated(folder.config, list(seen))


def _allocated(config: FolderConfig, candidates: Sequence[Seen]) -> Allocated:
    prompts = config.prompts.count or 0
    judged = [facts for facts in candidates if facts.failure is None]
    groups = [list(group) for _, group in groupby(judged, key=lambda facts: facts.prompt)]
    kinds = Counter(frozenset(facts.correct for facts in group) for group in groups)
    return Allocated(
        always_right=kinds[frozenset({True})],
        never_right=kinds[frozenset({False})],
        mixed=kinds[frozenset({True, False})],
        extra_candidates=len(candidates) - prompts * config.first_candidates,
        not_sampled=prompts * config.candidates - len(candidates),
    )


def allocated_line(allocated: Allocated) -> str:
    return (
        f"allocated: {allocated.extra_candidates} extra candidates to {allocated.mixed} prompts "
        f"with right and wrong ones; {allocated.always_right} always right, "
        f"{allocated.never_right} never; {allocated.not_sampled} not sampled, for want of such "
        "prompts in a shard"
    )


def _scores(
    candidates: Sequence[Seen], pairs: Sequence[SeenPair], tag: str | None = None
) -> Scores:
    """Of one tag, or of all."""
    mine = [facts for facts in candidates if tag in (None, facts.tag)]
    judged = [facts for facts in mine if facts.failure is None]
    scores = [facts.score for facts in judged if facts.score is not None]
    by_prompt = [list(group) for _, group in groupby(judged, key=lambda facts: facts.prompt)]
    return Scores(
        candidates=len(mine),
        accuracy=_mean(facts.correct for facts in judged),
        mean_score=_mean(scores),
        best_of_n=_mean(any(facts.correct for facts in group) for group in by_prompt),
        mean_best_score=_mean(max(facts.score or 0 for facts in group) for group in by_prompt),
        pairs=sum(tag in (None, facts.tag) for facts in pairs),
    )


def _mean(values: Iterable[float]) -> float | None:
    numbers = list(values)
    return fmean(numbers) if numbers else None


def summary_lines(summary: FolderSummary) -> list[str]:
    """The summary as a table for the terminal."""
    head = f"{'tag':<14}{'candidates':>11}{'accuracy':>10}{'score':>8}{'best of N':>11}{'pairs':>8}"
    lines = [head, *(_line(tag, scores) for tag, scores in summary.tags.items())]
    lines.append(_line("all", summary.overall))
    lines.append(_pairs_line(summary))
    if summary.imported:
        causes = sorted(summary.imported.dropped.items(), key=lambda cause: (-cause[1], cause[0]))
        listed = ", ".join(f"{count} {cause}" for cause, count in causes) or "none"
        lines.append(f"{summary.imported.rows} rows of the source read; dropped: {listed}")
    if review := summary.review:
        lines.append(
            f"review: {review.keep} kept, {review.flip} flipped, {review.drop} dropped, "
            f"{review.open} not looked at, {review.stale} decisions on what is no pair now"
        )
    if summary.allocated:
        lines.append(allocated_line(summary.allocated))
    if original := summary.original:
        lines.append(
            f"originally judged by {original.judge.names}, paired by "
            f"{original.policy} over margin {original.margin:g}, at most "
            f"{original.max_pairs_per_prompt} a prompt"
        )
    if summary.repeated_prompts:
        lines.append(f"{summary.repeated_prompts} prompts repeated another's text: left out")
    for cause, count in summary.failures.items():
        lines.append(f"{count} candidates could not be judged: {cause}")
    return lines + complaint_lines(summary.complaints)


def _pairs_line(summary: FolderSummary) -> str:
    """Without what was dropped where people made the pairs and none was."""
    dropped = summary.dropped
    line = (
        f"{summary.pairs} pairs of {summary.prompts} prompts "
        f"({summary.prompts_without_pairs} gave none)"
    )
    if summary.imported and dropped == DroppedPairs():
        return line
    return (
        f"{line}; dropped: {dropped.ties} ties, {dropped.under_margin} under the margin, "
        f"{dropped.over_cap} over the cap"
    )


def _line(tag: str, scores: Scores) -> str:
    accuracy, score, best = (
        "-" if number is None else f"{number:.3f}"
        for number in (scores.accuracy, scores.mean_score, scores.best_of_n)
    )
    return f"{tag:<14}{scores.candidates:>11}{accuracy:>10}{score:>8}{best:>11}{scores.pairs:>8}"
