"""What a judge is worth by people: how often it says what they say, and what a gain by it means.

A threshold that was chosen on the images it is then counted on looks better than it is. So each
half of the prompts has the threshold of the other half (two-fold cross-validation; Stone 1974).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from sipo.common.believed_gain import BelievedGain, believed_gain, gain_sentence
from sipo.common.records import Record
from sipo.common.statistics import Estimate, estimate
from sipo.common.two_judges import JudgeAgreement, judge_agreement

T = TypeVar("T")


@dataclass(frozen=True)
class LabelledVerdict(Generic[T]):
    """`seen`: what a threshold is chosen by."""

    prompt: str
    right: bool
    correct: bool  # by the judge as it is
    seen: T


Choose = Callable[[Sequence[LabelledVerdict[T]]], Callable[[LabelledVerdict[T]], bool]]
"""Labelled images -> whether the judge with the threshold they choose calls another correct."""


class Worth(Record):
    """A is the judge, B are people. `hits`: of right images the share called correct;
    `false_positives`: of wrong ones. Intervals over prompts."""

    agreement: JudgeAgreement
    agree: Estimate
    hits: Estimate
    false_positives: Estimate
    gain: BelievedGain


class WorthByPeople(Record):
    """`chosen`: with thresholds that other prompts chose; None where there is one prompt."""

    undecided: int  # images of which as many say the one as the other
    prompts: int
    as_it_is: Worth
    chosen: Worth | None
    threshold: str  # what is chosen: "thresholds by tag", "least score"


def worth_by_people(
    rows: Sequence[LabelledVerdict[T]],
    choose: Choose[T],
    threshold: str,
    measured: float,
    undecided: int,
) -> WorthByPeople:
    """Raises ValueError as `require_both_labels`."""
    require_both_labels([row.right for row in rows])
    chosen = _by_the_other_half(rows, choose)
    return WorthByPeople(
        undecided=undecided,
        prompts=len({row.prompt for row in rows}),
        as_it_is=_worth(rows, [row.correct for row in rows], measured),
        chosen=None if chosen is None else _worth(rows, chosen, measured),
        threshold=threshold,
    )


def require_both_labels(labels: Sequence[bool]) -> None:
    """Raises ValueError where all are right, or all wrong: then one of two rates is unknown."""
    if len(set(labels)) < 2:
        said = f"all {len(labels)} images {'right' if labels[0] else 'wrong'}" if labels else "none"
        raise ValueError(
            f"--people calls {said}; label images of both kinds, drawn without looking at what "
            "the judge says"
        )


def worth_lines(found: WorthByPeople) -> list[str]:
    lines = [f"{'':24}{'agree':>22}{'kappa':>7}{'hits':>7}{'false positives':>17}"]
    named = [("as it is", found.as_it_is), (f"{found.threshold}, others'", found.chosen)]
    for name, worth in named:
        if worth is not None:
            low, high = worth.agree.interval or (float("nan"),) * 2
            lines.append(
                f"{name:24}{worth.agree.value:>8.3f} [{low:.3f}, {high:.3f}]"
                f"{worth.agreement.kappa:>6.3f}{worth.hits.value:>7.3f}"
                f"{worth.false_positives.value:>17.3f}"
            )
    images = found.as_it_is.agreement.images
    lines.append(
        f"{images} images of {found.prompts} prompts"
        + (f", {found.undecided} more that people do not agree on" if found.undecided else "")
    )
    return [*lines, gain_sentence(found.as_it_is.gain)]


def least_score(rows: Sequence[LabelledVerdict[float]]) -> Callable[[LabelledVerdict[float]], bool]:
    """The cut with the best balanced accuracy, midway between two scores; the middle of equals."""
    scores = sorted({row.seen for row in rows})
    cuts = [(a + b) / 2 for a, b in pairwise(scores)] or scores
    worth = [_balanced([(row.seen >= cut, row.right) for row in rows]) for cut in cuts]
    best = [cut for cut, one in zip(cuts, worth, strict=True) if one == max(worth)]
    cut = best[(len(best) - 1) // 2]
    return lambda row: row.seen >= cut


def _balanced(said: Sequence[tuple[bool, bool]]) -> float:
    """Mean, over the labels that occur, of the share judged so."""
    shares = []
    for label in (True, False):
        if of := [called == right for called, right in said if right == label]:
            shares.append(sum(of) / len(of))
    return sum(shares) / len(shares)


def _worth(rows: Sequence[LabelledVerdict[T]], called: Sequence[bool], measured: float) -> Worth:
    said = list(zip(rows, called, strict=True))
    return Worth(
        agreement=judge_agreement([(correct, row.right) for row, correct in said]),
        agree=estimate((row.prompt, float(correct == row.right)) for row, correct in said),
        hits=estimate((row.prompt, float(correct)) for row, correct in said if row.right),
        false_positives=estimate(
            (row.prompt, float(correct)) for row, correct in said if not row.right
        ),
        gain=believed_gain([(row.prompt, correct, row.right) for row, correct in said], measured),
    )


def _by_the_other_half(rows: Sequence[LabelledVerdict[T]], choose: Choose[T]) -> list[bool] | None:
    """Each image by what the half without its prompt chose; None where there is one prompt."""
    prompts = sorted({row.prompt for row in rows}, key=_drawn)
    if len(prompts) < 2:
        return None
    first = set(prompts[: len(prompts) // 2])
    by = {side: choose([r for r in rows if (r.prompt in first) != side]) for side in (True, False)}
    return [by[row.prompt in first](row) for row in rows]


def _drawn(prompt: str) -> bytes:
    """An order that no file decides."""
    return hashlib.sha256(prompt.encode()).digest()
