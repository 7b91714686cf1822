"""A folder's pictures in a page: as large as lets the page stay small."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sipo.common.ordered_threads import in_order, threads_for
from sipo.common.pictures.picture import Clip, from_bytes
from sipo.datagen.looking.view_rows import PromptRow, ShownCandidate
from sipo.pages.shown_pictures import clip_uri, image_uri


class Level(NamedTuple):
    """How pictures are kept in the page."""

    side_px: int
    quality: int  # of WebP
    exact: bool  # small ones to the pixel


LEVELS = (
    *(Level(512, 82, True), Level(384, 82, True), Level(256, 80, True), Level(192, 80, False)),
    *(Level(128, 75, False), Level(96, 75, False)),
)
SMALLEST_BYTES = 1900
"""Of an address, about, at the last level: what decides how many pictures a page can hold."""


class PageBytes(NamedTuple):
    """A picture as the page has it; `size` is what was judged, in px; `poster` is of a clip."""

    uri: str
    size: tuple[int, int]
    poster: str = ""

    @property
    def bytes(self) -> int:
        return len(self.uri) + len(self.poster)


def level_for(rows: Iterable[PromptRow], pictures: int, most_bytes: int) -> int:
    """The number of the first level at which so many pictures fit, by a few of them."""
    tried = [row.candidates[place % len(row.candidates)] for place, row in enumerate(rows)]
    for number, level in enumerate(LEVELS):
        sizes = [found.bytes for found in encoded(tried, level)]
        if sum(sizes) / len(sizes) * pictures <= most_bytes:
            return number
    return len(LEVELS) - 1


def encoded(candidates: Iterable[ShownCandidate], level: Level) -> Iterator[PageBytes]:
    """In their order."""
    threads = threads_for()
    return in_order(lambda one: _encoded(one, level), candidates, threads, 2 * threads)


def _encoded(candidate: ShownCandidate, level: Level) -> PageBytes:
    picture = from_bytes(candidate.picture, candidate.suffix)
    if isinstance(picture, Clip):
        first = picture.frames[0]
        poster = image_uri(first, level.side_px, level.quality, exact=False)
        return PageBytes(clip_uri(picture, level.side_px), first.size, poster)
    return PageBytes(image_uri(picture, *level), picture.size)
