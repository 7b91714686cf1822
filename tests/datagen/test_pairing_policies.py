"""Which candidates become pairs, worked out by hand."""

from __future__ import annotations

from collections import Counter

import pytest

from sipo.datagen.generation.pairing import POLICIES, Paired, pair, pair_stream
from sipo.datagen.generation.types import Judged, requests
from sipo.feedback.prompts import grammar
from sipo.feedback.rule.verdict import Verdict, failed_verdict

CAT, DOGS = grammar.single_object("cat"), grammar.counting("dog", 2)


def judged(*scores: float | None, prompt_number: int = 0) -> list[Judged]:
    """Correct from 0.9 on; None is a failed verdict."""
    asked = requests([(prompt_number, CAT)], candidates=len(scores), seed=0)
    return [Judged(r, _verdict(score)) for r, score in zip(asked, scores, strict=True)]


def _verdict(score: float | None) -> Verdict:
    if score is None:
        return failed_verdict("blind", {})
    return Verdict(score=score, correct=score >= 0.9, reason="")


def ends(paired: Paired) -> set[tuple[int, int]]:
    return {(p.winner.request.index, p.loser.request.index) for p in paired.pairs}


def test_all_over_margin_takes_every_pair_that_is_far_enough_apart() -> None:
    paired = pair(judged(0.25, 1.0, 0.5), "all-over-margin", margin=0.5, cap=8)
    assert ends(paired) == {(1, 0), (1, 2)}
    assert {p.margin for p in paired.pairs} == {0.75, 0.5}
    assert (paired.ties, paired.under_margin, paired.over_cap) == (0, 1, 0)


def test_best_vs_worst_takes_one() -> None:
    assert ends(pair(judged(0.5, 0.0, 1.0, 0.25), "best-vs-worst", 0.3, 8)) == {(2, 1)}


def test_correct_vs_incorrect_never_pairs_two_of_a_kind() -> None:
    paired = pair(judged(1.0, 0.0, 0.95, 0.5), "correct-vs-incorrect", 0.3, 8)
    assert ends(paired) == {(0, 1), (0, 3), (2, 1), (2, 3)}


@pytest.mark.parametrize("policy", POLICIES)
def test_ties_are_dropped_and_counted_even_without_margin(policy: str) -> None:
    paired = pair(judged(0.5, 0.5), policy, margin=0.0, cap=8)
    assert paired.pairs == ()
    assert paired.ties == (0 if policy == "correct-vs-incorrect" else 1)


@pytest.mark.parametrize("policy", POLICIES)
def test_failed_verdicts_are_never_paired_but_counted_by_cause(policy: str) -> None:
    paired = pair(judged(None, 1.0, None, 0.0), policy, margin=0.3, cap=8)
    assert ends(paired) == {(1, 3)}
    assert paired.failures == Counter(blind=2)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("scores", [(), (None,), (0.7,), (None, None)])
def test_too_few_candidates_make_no_pairs(policy: str, scores: tuple[float | None, ...]) -> None:
    assert pair(judged(*scores), policy, 0.3, 8).pairs == ()


def test_the_cap_spreads_pairs_over_candidates() -> None:
    paired = pair(judged(1.0, 0.95, 0.1, 0.0), "correct-vs-incorrect", 0.3, cap=2)
    assert ends(paired) == {(0, 3), (1, 2)}
    assert paired.over_cap == 2


def test_a_stream_pairs_each_prompt_with_itself() -> None:
    stream = [*judged(1.0, 0.0), *judged(0.0, 1.0, prompt_number=1), *judged(1.0, prompt_number=2)]
    made = list(pair_stream(stream, "all-over-margin", 0.3, 8))
    assert [ends(paired) for paired in made] == [{(0, 1)}, {(1, 0)}, set()]
    total = sum(made, Paired())
    assert len(total.pairs) == 2
