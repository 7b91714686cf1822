"""The same prompts by several models, side by side or under one slider, as same_prompts.html has
them; and how large pictures may be for a page to stay small."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from sipo.pages.shown_pictures import ShownPicture

SIDES_PX = (512, 384, 256, 192, 128, 96)
MOST_BYTES = 11_000_000  # of a page's pictures; a page is to stay under 15 MB
_TRIED = 12


class Sample(NamedTuple):
    """`picture` is None where its file is gone; `said` is what the judge says of it, in words."""

    picture: ShownPicture | None
    right: bool
    said: Sequence[str]


class Version(NamedTuple):
    """What one model made of a prompt; sample i has the same seed as sample i of the others."""

    name: str
    samples: Sequence[Sample]

    @property
    def right(self) -> int:
        return sum(sample.right for sample in self.samples)


@dataclass(frozen=True)
class PromptCard:
    """One prompt by all models; None for one that has not made it."""

    prompt: str
    about: str  # its tag
    versions: Sequence[Version | None]
    before: ShownPicture | None = None  # what an edit began with

    @property
    def seeds(self) -> int:
        return max((len(version.samples) for version in self.versions if version), default=0)

    @property
    def course(self) -> str:
        """ "2, 3, 4 of 4 right", in the order of the versions."""
        there = [version for version in self.versions if version]
        counts = {len(version.samples) for version in there}
        if len(counts) == 1:
            return f"{', '.join(str(each.right) for each in there)} of {counts.pop()} right"
        return ", ".join(f"{each.right} of {len(each.samples)}" for each in there) + " right"


def side_for(sizes_at: Callable[[int, int], Sequence[int]], pictures: int) -> int:
    """The largest of SIDES_PX at which so many pictures fit a page.

    `sizes_at(side_px, count)` are the bytes of a few of them.
    """
    for side_px in SIDES_PX:
        sizes = sizes_at(side_px, min(_TRIED, pictures))
        if sum(sizes) / max(1, len(sizes)) * pictures <= MOST_BYTES:
            return side_px
    return SIDES_PX[-1]
