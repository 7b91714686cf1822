"""From the judged candidates of a prompt to winner and loser. Pure functions, no files.

A policy proposes which candidates to compare; `pair` then applies the rules that hold for all of
them and counts what it drops: ties, margins too small, pairs over the cap, failed verdicts.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby, product

from sipo.datagen.generation.types import Judged, Pair

Proposals = Iterator[tuple[Judged, Judged]]
"""(at least as good, at most as good)."""


@dataclass(frozen=True)
class Paired:
    """The pairs of one prompt or shard, and how many proposals were dropped, by cause."""

    pairs: tuple[Pair, ...] = ()
    ties: int = 0
    under_margin: int = 0
    over_cap: int = 0
    failures: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Paired) -> Paired:
        return Paired(
            self.pairs + other.pairs,
            self.ties + other.ties,
            self.under_margin + other.under_margin,
            self.over_cap + other.over_cap,
            self.failures + other.failures,
        )


def all_over_margin(ranked: Sequence[Judged]) -> Proposals:
    """Every candidate against every weaker one."""
    return combinations(ranked, 2)


def best_vs_worst(ranked: Sequence[Judged]) -> Proposals:
    """The best against the worst: one pair a prompt."""
    if len(ranked) > 1:
        yield ranked[0], ranked[-1]


def correct_vs_incorrect(ranked: Sequence[Judged]) -> Proposals:
    """Every correct candidate against every incorrect one."""
    correct = [c for c in ranked if c.verdict.correct]
    return product(correct, [c for c in ranked if not c.verdict.correct])


POLICIES: dict[str, Callable[[Sequence[Judged]], Proposals]] = {
    "all-over-margin": all_over_margin,
    "best-vs-worst": best_vs_worst,
    "correct-vs-incorrect": correct_vs_incorrect,
}
"""A policy: candidates of one prompt, best first -> proposals."""


def check_policy(name: str) -> None:
    """Raises ValueError for one that is unknown."""
    if name not in POLICIES:
        raise ValueError(f"--policy {name!r} is unknown; choose one of {', '.join(POLICIES)}")


def pair_stream(
    candidates: Iterable[Judged], policy: str, margin: float, cap: int
) -> Iterator[Paired]:
    """One `Paired` a prompt; the candidates of a prompt follow each other in the stream."""
    for _, group in groupby(candidates, key=lambda c: c.request.prompt_number):
        yield pair(list(group), policy, margin, cap)


def pair(candidates: Sequence[Judged], policy: str, margin: float, cap: int) -> Paired:
    """Pairs with `winner.score - loser.score >= margin` and > 0, at most `cap` of them.

    Equal scores are ties whatever the margin; candidates whose verdict failed are never paired.
    """
    judged = [c for c in candidates if not c.verdict.failed]
    ranked = sorted(judged, key=lambda c: (-_score(c), c.request.index))
    proposed = [Pair(a, b, _score(a) - _score(b)) for a, b in POLICIES[policy](ranked)]
    apart = [p for p in proposed if p.margin > 0]
    enough = [p for p in apart if p.margin >= margin]
    kept = _spread(enough, cap)
    return Paired(
        tuple(kept),
        ties=len(proposed) - len(apart),
        under_margin=len(apart) - len(enough),
        over_cap=len(enough) - len(kept),
        failures=Counter(c.verdict.failure for c in candidates if c.verdict.failure is not None),
    )


def _score(candidate: Judged) -> float:
    assert candidate.verdict.score is not None, "a verdict that did not fail has a score"
    return candidate.verdict.score


def _spread(pairs: Sequence[Pair], cap: int) -> list[Pair]:
    """At most `cap` pairs, drawing on all candidates evenly; among equals the widest margin."""
    left = list(pairs)
    used: Counter[int] = Counter()
    kept: list[Pair] = []

    def cost(p: Pair) -> tuple[int, float]:
        return used[p.winner.request.index] + used[p.loser.request.index], -p.margin

    while left and len(kept) < cap:
        best = min(left, key=cost)
        left.remove(best)
        kept.append(best)
        used.update([best.winner.request.index, best.loser.request.index])
    return kept
