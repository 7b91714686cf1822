"""What a gain by a judge that errs is by people: two error rates, and what they do to a share.

A judge calls right images correct with probability s and wrong ones with probability f, so of
images of which a share p is right it calls s p + f (1 - p) correct, and a gain g of that share is
one of g / (s - f) of p (Rogan & Gladen 1978, "Estimating prevalence from the results of a
screening test": p = (share - f) / (s - f), here the difference of two). That supposes the same s
and f before and after. A policy that was trained on the judge raises f, and then a gain may be
none: beside it stands how far f would have to rise for that.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sipo.common.records import Record
from sipo.common.statistics import RESAMPLES, Floats, Interval, quantiles

Judged = tuple[str, bool, bool]
"""An image: its prompt, whether the judge calls it correct, whether it is right by people."""
_FEW_TURNED = 0.025
"""Share of resamples in which the judge is no better than chance, from where no bound is told."""
TOO_FEW = "by so few labels the judge may be no better than chance"
NO_BETTER = "by these labels the judge is no better than chance"
ONE_PROMPT = "one prompt, which says nothing of others"


class BelievedGain(Record):
    """`by_people` and its 95 % interval are None where `why_not` says so."""

    measured: float
    by_people: float | None
    interval: Interval | None
    why_not: str | None = None
    false_positives: float  # of wrong images, the share that the judge calls correct
    false_positives_alone: float | None  # with which the gain would be none; None: over 1


def believed_gain(judged: Sequence[Judged], measured: float) -> BelievedGain:
    """Interval: percentile bootstrap over prompts. Both right and wrong images must be there."""
    units = _by_prompt(judged)
    (power,), (false,) = _rates(np.ones((1, len(units))), units)
    wrong = sum(not right for _, _, right in judged) / len(judged)
    alone = float(false + measured / wrong)
    found, bounds, why = _gain(units, float(power - false), measured)
    return BelievedGain(
        measured=measured,
        by_people=found,
        interval=bounds,
        why_not=why,
        false_positives=float(false),
        false_positives_alone=alone if 0 <= alone <= 1 else None,
    )


def gain_sentence(gain: BelievedGain) -> str:
    """ "a measured gain of +0.10 means +0.14 [+0.11, +0.20] by people, ..."."""
    said = f"a measured gain of {gain.measured:+.2f}"
    if gain.by_people is None:
        return f"{said} means nothing: {gain.why_not}"
    bounds = f"(no interval: {gain.why_not})"
    if gain.interval is not None:
        bounds = "[{:+.2f}, {:+.2f}]".format(*gain.interval)
    sure = f"{said} means {gain.by_people:+.2f} {bounds} by people if the judge errs as before"
    if gain.false_positives_alone is None:
        return sure
    rise = f"{gain.false_positives:.2f} to {gain.false_positives_alone:.2f}"
    return f"{sure}, and nothing if its false positives went from {rise}"


def _by_prompt(judged: Sequence[Judged]) -> Floats:
    """(P, 4): right images called correct, right ones, wrong ones called correct, wrong ones."""
    table: dict[str, list[int]] = {}
    for prompt, correct, right in judged:
        row = table.setdefault(prompt, [0, 0, 0, 0])
        place = 0 if right else 2
        row[place] += correct
        row[place + 1] += 1
    return np.array([table[prompt] for prompt in sorted(table)], dtype=np.float64)


def _rates(weights: Floats, units: Floats) -> tuple[Floats, Floats]:
    """(R, P) -> s and f of each; NaN of a resample without right, or without wrong images."""
    hits, rights, falses, wrongs = (weights @ units).T
    with np.errstate(invalid="ignore"):
        return hits / rights, falses / wrongs


def _gain(
    units: Floats, youden: float, measured: float
) -> tuple[float | None, Interval | None, str | None]:
    """`youden`: s - f. No gain of a share is over 1."""
    if youden <= 0:
        return None, None, NO_BETTER
    found = float(np.clip(measured / youden, -1, 1))
    if len(units) == 1:
        return found, None, ONE_PROMPT
    alike, counts = np.unique(units, axis=0, return_counts=True)  # drawn as one: as likely
    shares, rng = counts / len(units), np.random.default_rng(0)
    weights = rng.multinomial(len(units), shares, size=RESAMPLES).astype(np.float64)
    power, false = _rates(weights, alike)
    drawn = power - false
    if (turned := ~(drawn > 0)).mean() > _FEW_TURNED:
        return found, None, TOO_FEW
    drawn[turned] = np.finfo(np.float64).tiny
    return found, quantiles(np.clip(measured / drawn, -1, 1)), None
