"""Two who each call images correct or not: how often they say the same, beyond chance."""

from __future__ import annotations

from collections.abc import Sequence

from sipo.common.records import Record


class JudgeAgreement(Record):
    images: int
    agree: float  # share of images
    kappa: float  # Cohen 1960
    only_a: int  # images that only A calls correct
    only_b: int


def judge_agreement(said: Sequence[tuple[bool, bool]]) -> JudgeAgreement:
    """`said`: of each image, of which there is one at least, whether A and B call it correct.

    Cohen's kappa = (agree - by chance) / (1 - by chance); 1 where both always say the same.
    """
    n = len(said)
    agree = sum(a == b for a, b in said) / n
    share_a, share_b = (sum(pair[side] for pair in said) / n for side in (0, 1))
    chance = share_a * share_b + (1 - share_a) * (1 - share_b)
    return JudgeAgreement(
        images=n,
        agree=agree,
        kappa=(agree - chance) / (1 - chance) if chance < 1 else 1.0,
        only_a=sum(a and not b for a, b in said),
        only_b=sum(b and not a for a, b in said),
    )
