"""What rankings by people say: who comes first, how sure that is, how far raters agree.

K runs, M raters. A ranking is the runs from best to worst, some of them perhaps equal: runs that
share a place share the mean of the ranks it takes (mid-ranks; Kendall 1945).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from sipo.geneval.evaluation_folder import CONFIG, read_config
from sipo.geneval.statistics import mean_interval, said
from sipo.pages.ratings import read_answers

ANSWERS = "answers"


@dataclass(frozen=True)
class Ranking:
    """One rater's order of the runs for one item (an image index of a prompt), best first.

    `order` has a place each: a run, or a tuple of runs that are equal.
    """

    rater: str
    item: str
    prompt: str
    order: tuple[str | tuple[str, ...], ...]

    @cached_property
    def places(self) -> tuple[tuple[str, ...], ...]:
        """The runs of each place."""
        return tuple(place if isinstance(place, tuple) else (place,) for place in self.order)

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
        return above(self.rank(a), self.rank(b))


def read_rankings(study: Path) -> tuple[list[str], list[Ranking]]:
    """The runs of a study and all rankings in it. Raises ValueError where there are none."""
    if not (study / CONFIG).is_file():
        raise ValueError(
            f"{str(study)!r} has no {CONFIG}; give a folder of sipo-geneval rank --out"
        )
    runs = list(read_config(study).get("runs", ()))
    rankings = [
        _ranking(path, item, answer, runs)
        for path in sorted((study / ANSWERS).glob("*.jsonl"))
        for item, answer in read_answers(path, "item").items()
    ]
    if not rankings:
        raise ValueError(f"{str(study)!r} holds no answers yet; start with sipo-geneval rank")
    return runs, rankings


def _ranking(path: Path, item: str, answer: dict[str, Any], runs: Sequence[str]) -> Ranking:
    order, prompt = answer.get("order"), answer.get("prompt")
    places = [place if isinstance(place, list) else [place] for place in order or ()]
    flat = [run for place in places for run in place]
    if not isinstance(order, list) or sorted(map(str, flat)) != sorted(runs) or not all(places):
        raise ValueError(
            f"{path}: item {item} is ordered {order!r}, which is no order of {', '.join(runs)}; "
            "take that line out"
        )
    return Ranking(path.stem, item, str(prompt), tuple(tuple(map(str, p)) for p in places))


def above(a: float, b: float) -> float:
    """Of two ranks: 1 where the first is better, half where they are equal."""
    return 0.5 if a == b else float(a < b)


def rank_results(study: Path) -> dict[str, Any]:
    """`runs` (per run `rank_1` and `mean_rank`, each with `interval`), `wins` (row over column:

    share of answers that rank the row's run above the column's, ties half), `agreement`,
    `answers`, `ties` (answers with runs that are equal), `raters`.
    """
    runs, rankings = read_rankings(study)
    return {
        "answers": len(rankings),
        "ties": sum(len(r.places) < len(runs) for r in rankings),
        "items": len({ranking.item for ranking in rankings}),
        "raters": {
            name: sum(r.rater == name for r in rankings)
            for name in dict.fromkeys(r.rater for r in rankings)
        },
        "runs": {
            run: {
                "rank_1": _estimate(rankings, [r.first(run) for r in rankings]),
                "mean_rank": _estimate(rankings, [r.rank(run) for r in rankings]),
            }
            for run in runs
        },
        "wins": {
            a: {b: fmean(r.wins(a, b) for r in rankings) for b in runs if b != a} for a in runs
        },
        "agreement": agreement_of(rankings),
    }


def compare_ranks(study: Path, a: str, b: str) -> dict[str, Any]:
    """Paired by answer: mean ranks of `a` and `b`, their `difference` b - a (below 0 where b is

    better) and the `win_rate` of b, ties half, both with `interval`.

    Raises ValueError for a run that the study does not rank.
    """
    runs, rankings = read_rankings(study)
    for run in (a, b):
        if run not in runs:
            raise ValueError(f"{str(study)!r} does not rank {run!r}; choose of {', '.join(runs)}")
    wins = [r.wins(b, a) for r in rankings]
    gaps = [r.rank(b) - r.rank(a) for r in rankings]
    return {
        "a": fmean(r.rank(a) for r in rankings),
        "b": fmean(r.rank(b) for r in rankings),
        "difference": _estimate(rankings, gaps),
        "win_rate": _estimate(rankings, wins),
        "pairs": len(rankings),
        "prompts": len({ranking.prompt for ranking in rankings}),
    }


def agreement_of(rankings: Sequence[Ranking]) -> dict[str, Any]:
    """Means over the items that several people ranked; None where there is no such item.

    `kendall_w`: W = 12 S / (M^2 (K^3 - K) - M T), S the squared deviations of the runs' rank sums,
    T the sum of t^3 - t over all places that t runs share (Kendall & Babington Smith 1939; with
    ties Kendall & Gibbons 1990, chapter 6); 1 for full agreement, by chance 1/M.
    `kendall_tau`: tau-b, (concordant - discordant) / sqrt((n - n_x)(n - n_y)) of n pairs of runs,
    of which n_x and n_y are equal to the one rater and to the other, mean over pairs of raters
    (Kendall 1938, 1945); by chance 0. Where all runs are equal there is neither.
    """
    by_item: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        by_item.setdefault(ranking.item, []).append(ranking)
    shared = [group for group in by_item.values() if len(group) > 1]
    return {
        "items": len(shared),
        "kendall_w": _mean(map(_kendall_w, shared)),
        "kendall_tau": _mean(map(_kendall_tau, shared)),
    }


def _mean(values: Iterable[float | None]) -> float | None:
    """Of those that there are."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None


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


def _estimate(rankings: Sequence[Ranking], values: Sequence[float]) -> dict[str, Any]:
    """Mean and interval of one value a ranking; the prompt is the unit that is resampled."""
    groups: dict[str, list[float]] = {}
    for ranking, value in zip(rankings, values, strict=True):
        groups.setdefault(ranking.prompt, []).append(value)
    mean, interval = mean_interval([groups[prompt] for prompt in sorted(groups)])
    return {"value": mean, **said(interval)}
