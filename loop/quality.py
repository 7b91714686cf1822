"""What Overall does not see: whether pictures themselves get worse while it rises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sipo.loop.result import RoundSummary

EMPTY_RISE = 0.02  # of the share of images without any object
SHARPNESS_FALL = 0.15  # of the base's
CONFIDENCE_FALL = 0.05  # of the evaluator's, on single objects


def quality_warning(rounds: Sequence[RoundSummary]) -> str | None:
    """A sentence where the last of `rounds` is above the first in Overall and worse to look at."""
    base, last = rounds[0], rounds[-1]
    if last.overall <= base.overall:
        return None
    signs = list(_signs(base, last))
    if not signs:
        return None
    return (
        f"Overall has risen by {last.overall - base.overall:.3f} since the base, but by round "
        f"{last.round} {', '.join(signs)}: look at the images"
    )


def _signs(base: RoundSummary, last: RoundSummary) -> Iterator[str]:
    before, after = base.quality, last.quality
    if last.empty_share - base.empty_share >= EMPTY_RISE:
        yield f"empty images went from {base.empty_share:.1%} to {last.empty_share:.1%}"
    single = (last.tag_gains or {}).get("single_object")
    if single and single.clear and single.difference < 0:
        yield f"single objects went from {single.a:.3f} to {single.b:.3f}"
    if _fell(before.sharpness, after.sharpness, SHARPNESS_FALL * (before.sharpness or 0)):
        yield f"sharpness went from {before.sharpness:.3g} to {after.sharpness:.3g}"
    sure, unsure = before.single_object_confidence, after.single_object_confidence
    if _fell(sure, unsure, CONFIDENCE_FALL):
        yield f"confidence on single objects went from {sure:.2f} to {unsure:.2f}"


def _fell(before: float | None, after: float | None, least: float) -> bool:
    return before is not None and after is not None and before - after >= least > 0
