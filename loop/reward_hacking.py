"""Does the judge that gives reward still agree with one that never does?

A policy that learns to please its judge instead of the prompt shows it so: its score goes on rising
while a held-out judge's stands or falls (Gao et al. 2022, "Scaling laws for reward model
overoptimization"). People call it reward hacking.
"""

from __future__ import annotations

from collections.abc import Sequence

LEAST_GAIN = 0.02  # of the reward judge's share of correct images, below which nothing is said
LEAST_SHARE = 0.25  # of the reward judge's gain that the held-out judge should see


def divergence_warning(
    reward: Sequence[float],
    held_out: Sequence[float],
    rounds: Sequence[int] | None = None,
    *,
    least_gain: float = LEAST_GAIN,
    least_share: float = LEAST_SHARE,
) -> str | None:
    """A sentence when the two part, else None. One number a round, round 0 (the base) first;
    `rounds` are their names where some were left out.

    Both in the same unit, rising with quality, say the share of correct images in [0, 1], of the
    same images. Two signs: since the held-out judge's best round the reward has risen while that
    judge's own has fallen, both by `least_gain`; or since round 0 the held-out judge has seen less
    than `least_share` of the reward's gain. Raises ValueError for series of unequal length.
    """
    if len(reward) != len(held_out):
        raise ValueError(
            f"reward has {len(reward)} rounds and held_out {len(held_out)}; give one number a round"
        )
    if len(reward) < 2:
        return None
    best = max(range(len(held_out)), key=lambda number: (held_out[number], -number))
    rise, fall = reward[-1] - reward[best], held_out[best] - held_out[-1]
    if rise >= least_gain and fall >= least_gain:
        name = rounds[best] if rounds else best
        return (
            f"since round {name} the reward judge has risen by {rise:.3f} and the held-out judge "
            f"fallen by {fall:.3f}: the policy learns the judge; go back to round {name}"
        )
    gain, seen = reward[-1] - reward[0], held_out[-1] - held_out[0]
    if gain >= least_gain and seen < least_share * gain:
        return (
            f"of the {gain:.3f} that the reward judge has risen since round 0 the held-out judge "
            f"sees {seen:.3f}: look at the images before another round"
        )
    return None
