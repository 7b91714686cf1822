"""A difference in words, which say no more than the figures beside them."""

from __future__ import annotations

from sipo.common.statistics import Difference


def gain_in_words(gain: Difference) -> str:
    """ "a clear gain (+0.194, 95% interval +0.147 to +0.244)"; by its bounds as they are shown."""
    verdict, bounds = "no clear change", f"no interval: {gain.no_interval}"
    if gain.interval is not None:
        low, high = (round(end, 3) + 0.0 for end in gain.interval)
        bounds = f"95% interval {low:+.3f} to {high:+.3f}"
        if gain.clear and not low <= 0 <= high:
            verdict = "a clear gain" if low > 0 else "a clear loss"
    return f"{verdict} ({gain.difference:+.3f}, {bounds})"
