"""The same prompts and seeds before and after, as images inside the page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from sipo.common.pictures.picture import Clip, read_clip, read_image, to_bytes
from sipo.feedback.prompts.prompt import TAGS
from sipo.geneval.evaluation_folder import RESULTS
from sipo.geneval.layout import is_clip
from sipo.geneval.results import ImageResult, read_rows
from sipo.pages.html import data_uri, jpeg_uri

PER_TAG = 2
PER_PROMPT = 4
SIDE_PX = 192  # larger images are made smaller
MOVING_FRAMES = 16  # of a clip


@dataclass(frozen=True)
class Thumbnail:
    uri: str
    correct: bool
    reason: str


@dataclass(frozen=True)
class Card:
    """One prompt: `before[i]` and `after[i]` have the same seed."""

    tag: str
    prompt: str
    before: tuple[Thumbnail, ...]
    after: tuple[Thumbnail, ...]


def cards(before: Path, after: Path) -> list[Card]:
    """`PER_TAG` prompts of every tag, evenly spaced in the suite: chosen without looking."""
    first, last = _by_prompt(before), _by_prompt(after)
    made = []
    for tag in TAGS:
        prompts = [p for p, rows in first.items() if rows[0].tag == tag and p in last]
        for folder in prompts[:: max(1, -(-len(prompts) // PER_TAG))]:
            rows = first[folder]
            made.append(Card(tag, rows[0].prompt, _show(before, rows), _show(after, last[folder])))
    return made


def _by_prompt(folder: Path) -> dict[str, list[ImageResult]]:
    """Prompt folder ("00000") -> its rows."""
    groups: dict[str, list[ImageResult]] = {}
    for row in read_rows(folder / RESULTS):
        groups.setdefault(row.filename.split("/")[0], []).append(row)
    return groups


def _show(folder: Path, rows: list[ImageResult]) -> tuple[Thumbnail, ...]:
    return tuple(
        Thumbnail(image_uri(folder / row.filename), row.correct, row.reason)
        for row in rows[:PER_PROMPT]
    )


def image_uri(path: Path) -> str:
    """Small images as they are; larger ones at `SIDE_PX` as JPEG; clips as moving WebP."""
    if is_clip(path):
        return data_uri("webp", _moving(read_clip(path.read_bytes())))
    image = read_image(path)  # as it was judged
    if max(image.size) <= SIDE_PX:
        return data_uri("png", to_bytes(image))
    return jpeg_uri(image, SIDE_PX)


def _moving(clip: Clip) -> bytes:
    """At most `MOVING_FRAMES` of it, at its own speed, without end."""
    step = -(-len(clip.frames) // MOVING_FRAMES)
    first, *others = [frame.copy() for frame in clip.frames[::step]]
    for frame in (first, *others):
        frame.thumbnail((SIDE_PX, SIDE_PX))
    buffer = io.BytesIO()
    pause_ms = round(1000 * step / clip.fps)
    first.save(buffer, "WEBP", save_all=True, append_images=others, duration=pause_ms, loop=0)
    return buffer.getvalue()
