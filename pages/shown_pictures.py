"""Pictures as a page shows them: scaled, inside the page, with boxes that the page draws over them.

Boxes are no part of the pixels, so that they can be put away, stay sharp when the picture is
enlarged, and are not in what a screen reader says (which is `alt`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image

from sipo.common.pictures.picture import Clip, Picture, make_clip, to_bytes
from sipo.pages.html import data_uri

State = Literal["good", "bad", ""]

KEPT_PX = 128  # pictures up to this side are kept to the pixel
QUALITY = 82  # of WebP
SMALL_QUALITY = 88  # of JPEG
FRAMES = 24  # of a clip
CRF = 26  # of x264, from 0 (lossless) to 51


@dataclass(frozen=True)
class DrawnBox:
    """`xyxy` in pixels of the picture as it was judged; `state` is its colour."""

    xyxy: tuple[float, float, float, float]
    label: str
    state: State = ""


@dataclass(frozen=True)
class ShownPicture:
    """For the macro `picture` of pictures.html, and as data for its like in page.js.

    `size` is (width, height) in px of what was judged; `alt` says what is to be seen, `caption`
    stands under the enlarged picture; a clip has its first frame as `poster`.
    """

    uri: str
    alt: str
    size: tuple[int, int]
    caption: str = ""
    state: State = ""
    boxes: tuple[DrawnBox, ...] = ()
    poster: str = ""

    @property
    def boxes_json(self) -> str:
        return json.dumps(percent_boxes(self.boxes, self.size), separators=(",", ":"))


def percent_boxes(boxes: Sequence[DrawnBox], size: tuple[int, int]) -> list[list[object]]:
    """[left, top, width, height in percent of the picture, label, state], cut at its edges."""
    return [[*_percent(box.xyxy, size), box.label, box.state] for box in boxes]


def show_picture(
    picture: Picture,
    side_px: int,
    alt: str,
    *,
    caption: str = "",
    state: State = "",
    boxes: Sequence[DrawnBox] = (),
) -> ShownPicture:
    """An image or clip, no larger than `side_px`. What is given is not changed."""
    first = picture.frames[0] if isinstance(picture, Clip) else picture
    uri = clip_uri(picture, side_px) if isinstance(picture, Clip) else image_uri(first, side_px)
    poster = image_uri(first, side_px) if isinstance(picture, Clip) else ""
    return ShownPicture(uri, alt, first.size, caption, state, tuple(boxes), poster)


def image_uri(image: Image.Image, side_px: int, quality: int = QUALITY, exact: bool = True) -> str:
    """As WebP; what is small is not scaled, and is a drawing or mini-sd's: to the pixel, or where
    it need not be `exact` as JPEG with all its colours."""
    shown = image.copy()
    shown.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    small = max(shown.size) <= KEPT_PX
    if small and exact and shown.size == image.size:
        return data_uri("png", to_bytes(shown))
    buffer = io.BytesIO()
    if small:
        shown.save(buffer, "JPEG", quality=SMALL_QUALITY, subsampling=0, optimize=True)
        return data_uri("jpeg", buffer.getvalue())
    shown.save(buffer, "WEBP", quality=quality)
    return data_uri("webp", buffer.getvalue())


def clip_uri(clip: Clip, side_px: int) -> str:
    """As MP4 of at most `FRAMES` frames, at its own speed."""
    step = -(-len(clip.frames) // FRAMES)
    frames = [frame.copy() for frame in clip.frames[::step]]
    for frame in frames:
        frame.thumbnail((side_px, side_px))
    even = frames[0].width // 2 * 2 or 2, frames[0].height // 2 * 2 or 2
    rate = max(1, round(clip.fps / step))
    small = make_clip([frame.resize(even) for frame in frames], rate, crf=CRF)
    return data_uri("mp4", small.mp4, "video")


def _percent(xyxy: Sequence[float], size: tuple[int, int]) -> list[float]:
    x1, y1, x2, y2 = (
        round(100 * min(max(value / size[axis % 2], 0), 1), 1) for axis, value in enumerate(xyxy)
    )
    return [x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)]
