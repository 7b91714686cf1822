"""What rankings by people say: who comes first, how sure that is, how far raters agree.

K runs, M raters. A ranking is a permutation of the runs, best first, without ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from sipo.feedback.answers import read_answers
from sipo.geneval.folder import CONFIG, read_json
from sipo.geneval.statistics import mean_interval

ANSWERS = "answers"


@dataclass(frozen=True)
class Ranking:
    """One rater's order of the runs for one item (an image index of a prompt), best first."""

    rater: str
    item: str
    prompt: str
    order: tuple[str, ...]

    def rank(self, run: str) -> int:
        """From 1, the best."""
        return self.order.index(run) + 1


def read_rankings(study: Path) -> tuple[list[str], list[Ranking]]:
    """The runs of a study and all rankings in it. Raises ValueError where there are none."""
    if not (study / CONFIG).is_file():
        raise ValueError(
            f"{str(study)!r} has no {CONFIG}; give a folder of sipo-geneval rank --out"
        )
    runs = list(read_json(study / CONFIG).get("runs", ()))
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
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(runs):
        raise ValueError(
            f"{path}: item {item} is ordered {order!r}, which is no order of {', '.join(runs)}; "
            "take that line out"
        )
    return Ranking(path.stem, item, str(prompt), tuple(map(str, order)))


def rank_results(study: Path) -> dict[str, Any]:
    """`runs` (per run `rank_1` and `mean_rank`, each with `interval`), `wins` (row over column:

    share of answers that rank the row's run above the column's), `agreement`, `answers`, `raters`.
    """
    runs, rankings = read_rankings(study)
    return {
        "answers": len(rankings),
        "items": len({ranking.item for ranking in rankings}),
        "raters": {
            name: sum(r.rater == name for r in rankings)
            for name in dict.fromkeys(r.rater for r in rankings)
        },
        "runs": {
            run: {
                "rank_1": _estimate(rankings, [float(r.rank(run) == 1) for r in rankings]),
                "mean_rank": _estimate(rankings, [float(r.rank(run)) for r in rankings]),
            }
            for run in runs
        },
        "wins": {
            a: {b: fmean(r.rank(a) < r.rank(b) for r in rankings) for b in runs if b != a}
            for a in runs
        },
        "agreement": agreement_of(rankings),
    }


def compare_ranks(study: Path, a: str, b: str) -> dict[str, Any]:
    """Paired by answer: mean ranks of `a` and `b`, their `difference` b - a (below 0 where b is

    better) and the `win_rate` of b, both with `interval`.

    Raises ValueError for a run that the study does not rank.
    """
    runs, rankings = read_rankings(study)
    for run in (a, b):
        if run not in runs:
            raise ValueError(f"{str(study)!r} does not rank {run!r}; choose of {', '.join(runs)}")
    wins = [float(r.rank(b) < r.rank(a)) for r in rankings]
    gaps = [float(r.rank(b) - r.rank(a)) for r in rankings]
    return {
        "a": fmean(r.rank(a) for r in rankings),
        "b": fmean(r.rank(b) for r in rankings),
        "difference": _estimate(rankings, gaps),
        "win_rate": _estimate(rankings, wins),
        "pairs": len(rankings),
    }


def agreement_of(rankings: Sequence[Ranking]) -> dict[str, Any]:
    """Means over the items that several people ranked; None where there is no such item.

    `kendall_w`: W = 12 S / (M^2 (K^3 - K)), S the squared deviations of the runs' rank sums
    (Kendall & Babington Smith 1939); 1 for full agreement, by chance 1/M.
    `kendall_tau`: (concordant - discordant) / pairs of runs, mean over pairs of raters
    (Kendall 1938); by chance 0.
    """
    by_item: dict[str, list[Ranking]] = {}
    for ranking in rankings:
        by_item.setdefault(ranking.item, []).append(ranking)
    shared = [group for group in by_item.values() if len(group) > 1]
    return {
        "items": len(shared),
        "kendall_w": fmean(map(_kendall_w, shared)) if shared else None,
        "kendall_tau": fmean(map(_kendall_tau, shared)) if shared else None,
    }


def _kendall_w(group: Sequence[Ranking]) -> float:
    m, runs = len(group), group[0].order
    k = len(runs)
    expected = m * (k + 1) / 2
    deviations = sum((sum(r.rank(run) for r in group) - expected) ** 2 for run in runs)
    return 12 * deviations / (m**2 * (k**3 - k))


def _kendall_tau(group: Sequence[Ranking]) -> float:
    signs = [
        1.0 if (x.rank(a) < x.rank(b)) == (y.rank(a) < y.rank(b)) else -1.0
        for x, y in combinations(group, 2)
        for a, b in combinations(x.order, 2)
    ]
    return fmean(signs)


def _estimate(rankings: Sequence[Ranking], values: Sequence[float]) -> dict[str, Any]:
    """Mean and interval of one value a ranking; the prompt is the unit that is resampled."""
    groups: dict[str, list[float]] = {}
    for ranking, value in zip(rankings, values, strict=True):
        groups.setdefault(ranking.prompt, []).append(value)
    mean, interval = mean_interval([groups[prompt] for prompt in sorted(groups)])
    return {"value": mean, "interval": list(interval)}
