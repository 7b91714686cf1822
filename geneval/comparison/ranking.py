"""What rankings by people say: who comes first, how sure that is, how far raters agree.

K runs, M raters. A ranking is the runs from best to worst, some of them perhaps equal: runs that
share a place share the mean of the ranks it takes (mid-ranks; Kendall 1945).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from sipo.common.records import Record
from sipo.common.statistics import Estimate, PairedMeans, estimate, paired_means
from sipo.geneval.evaluation_folder import CONFIG, read_config
from sipo.pages.ratings import read_answers

ANSWERS = "answers"


@dataclass(frozen=True)
class Ranking:
    """One rater's order of the runs for one item (an image index of a prompt)."""

    rater: str
    item: str
    prompt: str
    places: tuple[tuple[str, ...], ...]  # best first; runs that are equal share one

    @property
    def runs(self) -> tuple[str, ...]:
        return tuple(run for place in self.places for run in place)

    def rank(self, run: str) -> float:
        """From 1, the best; of equal runs the mean of their ranks."""
        before = 0
        for place in self.places:
            if run in place:
                return before + (len(place) + 1) / 2
            before += len(place)
        raise KeyError(run)

    def first(self, run: str) -> float:
        """1 for the best; runs that share the first place share it evenly."""
        return 1 / len(self.places[0]) if run in self.places[0] else 0.0

    def wins(self, a: str, b: str) -> float:
        """1 where `a` is above `b`, half where they are equal."""
        ours, theirs = self.rank(a), self.rank(b)
        return 0.5 if ours == theirs else float(ours < theirs)


class RunRanks(Record):
    rank_1: Estimate  # share of first ranks
    mean_rank: Estimate


class RaterAgreement(Record):
    """Means over the items that several people ranked; None where there is no such item."""

    items: int
    kendall_w: float | None
    kendall_tau: float | None


class RankResult(Record):
    """`wins[a][b]`: share of answers that rank a above b, ties half."""

    answers: int
    ties: int  # answers with runs that are equal
    items: int
    raters: dict[str, int]  # answers of each
    runs: dict[str, RunRanks]
    wins: dict[str, dict[str, float]]
    agreement: RaterAgreement


def read_rankings(study: Path) -> tuple[list[str], list[Ranking]]:
    """The runs of a study and all rankings in it. Raises ValueError where there are none."""
    if not (study / CONFIG).is_file():
        raise ValueError(
            f"{str(study)!r} has no {CONFIG}; give a folder of sipo-geneval rank --out"
        )
    hashes = read_config(study).get("runs")  # by run
    runs = list(hashes) if isinstance(hashes, dict) else []
    rankings = [
        _ranking(path, item, answer, runs)
        for path in sorted((study / ANSWERS).glob("*.jsonl"))
        for item, answer in read_answers(path, "item").items()
    ]
    if not rankings:
        raise ValueError(f"{str(study)!r} holds no answers yet; start with sipo-geneval rank")
    return runs, rankings


def _ranking(path: Path, item: str, answer: Mapping[str, object], runs: Sequence[str]) -> Ranking:
    order = answer.get("order")
    places = [p if isinstance(p, list) else [p] for p in order] if isinstance(order, list) else []
    flat = [str(run) for place in places for run in place]
    if sorted(flat) != sorted(runs) or not flat or not all(places):
        raise ValueError(
            f"{path}: item {item} is ordered {order!r}, which is no order of {', '.join(runs)}; "
            "take that line out"
        )
    prompt = str(answer.get("prompt"))
    return Ranking(path.stem, item, prompt, tuple(tuple(map(str, place)) for place in places))


def rank_results(study: Path) -> RankResult:
    runs, rankings = read_rankings(study)
    raters = [ranking.rater for ranking in rankings]
    return RankResult(
        answers=len(rankings),
        ties=sum(len(r.places) < len(runs) for r in rankings),
        items=len({ranking.item for ranking in rankings}),
        raters={name: raters.count(name) for name in dict.fromkeys(raters)},
        runs={
            run: RunRanks(
                rank_1=estimate((r.prompt, r.first(run)) for r in rankings),
                mean_rank=estimate((r.prompt, r.rank(run)) for r in rankings),
            )
            for run in runs
        },
        wins={a: {b: fmean(r.wins(a, b) for r in rankings) for b in runs if b != a} for a in runs},
        agreement=agreement_of(rankings),
    )


def compare_ranks(study: Path, a: str, b: str) -> PairedMeans:
    """Paired by answer: mean ranks, `difference` b - a (below 0 where b is better), and wins.

    Raises ValueError for a run that the study does not rank.
    """
    runs, rankings = read_rankings(study)
    for run in (a, b):
        if run not in runs:
            raise ValueError(f"{str(study)!r} does not rank {run!r}; choose of {', '.join(runs)}")
    before, after = ([r.rank(run) for r in rankings] for run in (a, b))
    return paired_means([r.prompt for r in rankings], before, after, higher_wins=False)


def agreement_of(rankings: Sequence[Ranking]) -> RaterAgreement:
    """`kendall_w`: W = 12 S / (M^2 (K^3 - K) - M T), S the squared deviations of the runs' rank

    sums, T the sum of t^3 - t over all places that t runs share (Kendall & Babington Smith 1939;
    with ties Kendall & Gibbons 1990, chapter 6); 1 for full agreement, by chance 1/M.
    `kendall_tau`: tau-b, (concordant - discordant) / sqrt((n - n_x)(n - n_y)) of n pairs of runs,
    of which n_x and n_y are equal to the one rater and to the other, mean over pairs of raters
    (Kendall 1938, 1945); by chance 0. Where all runs are equal there is neither.
    """
    by_item: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        by_item.setdefault(ranking.item, []).append(ranking)
    shared = [group for group in by_item.values() if len(group) > 1]
    return RaterAgreement(
        items=len(shared),
        kendall_w=_mean(map(_kendall_w, shared)),
        kendall_tau=_mean(map(_kendall_tau, shared)),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that there are."""
    found = [value for value in values if value is not None]
    return fmean(found) if found else None


def _kendall_w(group: Sequence[Ranking]) -> float | None:
    m, runs = len(group), group[0].runs
    k = len(runs)
    expected = m * (k + 1) / 2
    deviations = sum((sum(r.rank(run) for r in group) - expected) ** 2 for run in runs)
    tied = sum(len(place) ** 3 - len(place) for r in group for place in r.places)
    most = m**2 * (k**3 - k) - m * tied
    return 12 * deviations / most if most else None


def _kendall_tau(group: Sequence[Ranking]) -> float | None:
    return _mean(_tau_b(x, y) for x, y in combinations(group, 2))


def _tau_b(x: Ranking, y: Ranking) -> float | None:
    pairs = list(combinations(x.runs, 2))
    signs = [[2 * r.wins(a, b) - 1 for a, b in pairs] for r in (x, y)]  # 1, 0 or -1
    untied = [sum(map(abs, one)) for one in signs]
    if not all(untied):
        return None
    both = sum(p * q for p, q in zip(*signs, strict=True))
    return float(both / math.sqrt(untied[0] * untied[1]))
