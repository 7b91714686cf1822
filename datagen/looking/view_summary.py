"""The part of a folder's page that counts: tables, histograms, and why what is no pair is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import groupby

from sipo.datagen.looking.view_choice import keeps_candidates
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.folder_summary import FolderSummary, summarize
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CandidateFacts, PairFacts
from sipo.pages.chart_kinds import Bars
from sipo.pages.charts import Drawn, drawn

_BINS = 20
Lost = tuple[int, str]
"""How many, and of what and why."""


def summary_of(folder: ShardFolder) -> FolderSummary | None:
    """None where the folder keeps no candidates, as a copy for training."""
    whole = all(keeps_candidates(folder, number) for number in folder.numbers)
    return summarize(folder) if whole else None


def histograms(folder: ShardFolder) -> list[Drawn]:
    """Of the candidates' scores, and of the margins of pairs."""
    facts = [one for number in folder.numbers for one in _candidates(folder, number)]
    pairs = [one for n in folder.numbers for one in folder.pairs(n).samples.values()]
    made = []
    if scored := [one for one in facts if one.score is not None]:
        made.append(_scores(scored))
    if pairs:
        made.append(_margins(pairs))
    return [drawn(one) for one in made]


def _candidates(folder: ShardFolder, number: int) -> Sequence[CandidateFacts]:
    if not keeps_candidates(folder, number):
        return ()
    return list(folder.candidates(number).samples.values())


def _scores(facts: Sequence[CandidateFacts]) -> Bars:
    def counts(correct: bool) -> list[float]:
        return _counts([one.score or 0 for one in facts if one.correct == correct])

    series = [("correct", counts(True), "good"), ("wrong", counts(False), "bad")]
    reading = "Where most scores lie at one end there is little to learn from."
    return Bars(_edges(), series, "score", "Scores of the candidates", reading)


def _margins(pairs: Sequence[PairFacts]) -> Bars:
    series = [("pairs", _counts([one.margin for one in pairs]), "c1")]
    reading = "The winner's score less the loser's; narrow pairs teach little and may be wrong."
    return Bars(_edges(), series, "margin", "Margins of the pairs", reading)


def _edges() -> list[float]:
    return [place / _BINS for place in range(_BINS + 1)]


def _counts(values: Sequence[float]) -> list[float]:
    found = Counter(min(int(value * _BINS), _BINS - 1) for value in values)
    return [float(found[place]) for place in range(_BINS)]


def lost(folder: ShardFolder, summary: FolderSummary) -> list[Lost]:
    """Everything that was looked at and is no pair to train on, by cause."""
    dropped, config, review = summary.dropped, folder.config, summary.review
    imported = summary.imported.dropped if summary.imported else {}
    found = [
        (dropped.ties, "pairs: both have the same score"),
        (dropped.under_margin, f"pairs: their scores differ by less than {config.margin:g}"),
        (dropped.over_cap, f"pairs over the {config.max_pairs_per_prompt} that a prompt may have"),
        *((count, f"prompts without a pair: {why}") for why, count in _pairless(folder).items()),
        *(
            (count, f"candidates without a verdict: {why}")
            for why, count in summary.failures.items()
        ),
        (summary.repeated_prompts, "prompts that repeat another's text"),
        *((count, f"rows of the source: {why}") for why, count in imported.items()),
        (review.drop if review else 0, "pairs that people dropped (sipo-data review)"),
        (review.tie if review else 0, "pairs of which people prefer neither (sipo-data review)"),
    ]
    return [(count, what) for count, what in found if count]


def _pairless(folder: ShardFolder) -> Counter[str]:
    """Prompts by why they have no pair."""
    causes: Counter[str] = Counter()
    for number in folder.numbers:
        paired = {one.prompt for one in folder.pairs(number).samples.values()}
        facts = folder.candidates(number).samples.values()
        for prompt, group in groupby(facts, key=lambda one: one.prompt):
            if prompt not in paired:
                causes[why_no_pair(list(group), folder.config)] += 1
    return causes


def why_no_pair(facts: Sequence[CandidateFacts], config: FolderConfig) -> str:
    correct = {one.correct for one in facts if one.failure is None}
    if not correct:
        return "no candidate could be judged"
    if correct == {True}:
        return "all candidates are right"
    if correct == {False} and config.policy == "correct-vs-incorrect":
        return "no candidate is right"
    return f"no two scores differ by {config.margin:g}"
