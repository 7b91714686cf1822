"""From bytes nobody trusts to a clip of the asked frames, rate and size."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from PIL import Image

from sipo.common.pictures.decode import UnreadableError, check_pixels
from sipo.common.pictures.picture import Clip, make_clip
from sipo.datagen.imports.untrusted_images import Size, fit
from sipo.datagen.imports.values import UnusableError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer

MAX_DECODED = 4096  # frames of a source, however long it is


def read_clip_of(data: bytes, size: Size, frames: int, fps: int) -> Clip:
    """The first `frames` at `fps`, each the nearest of the source's, upright, fitted as an image.

    A file that is that already (H.264) keeps its bytes. Raises UnusableError.
    """
    import av

    if not data:
        raise UnusableError("empty picture")
    try:
        with av.open(io.BytesIO(data), "r") as file:
            source = _probe(file, fps)
            places = [round(i * source.fps / fps) for i in range(frames)]
            seen = _decode(file, places, size)
    except UnreadableError as error:
        raise UnusableError(str(error)) from None
    except (UnusableError, MemoryError):
        raise
    except Exception:  # whatever the decoders raise for bytes that are damaged
        raise UnusableError("not a readable video") from None
    if seen.length <= places[-1]:
        raise UnusableError("clip is too short")
    chosen = [seen.frames[place] for place in places]
    if source == _Source("h264", size, fps) and seen.length == frames and not seen.rotated:
        return Clip(data, tuple(chosen), float(fps))
    return make_clip(chosen, fps)


@dataclass(frozen=True)
class _Source:
    """What a file says of itself."""

    codec: str
    size: Size
    fps: float


def _probe(file: InputContainer, default_fps: int) -> _Source:
    stream = file.streams.video[0]
    context = stream.codec_context
    check_pixels(context.width, context.height)
    rate = float(stream.average_rate or default_fps)
    return _Source(context.name, (context.width, context.height), rate)


@dataclass(frozen=True)
class _Seen:
    """`frames` by their places; `length` is one more than was asked for where there are more."""

    frames: dict[int, Image.Image]
    length: int
    rotated: bool


def _decode(file: InputContainer, places: Sequence[int], size: Size) -> _Seen:
    if places[-1] >= MAX_DECODED:
        raise UnusableError("clip has too many frames a second")
    kept, rotated, length = {}, False, 0
    for place, frame in enumerate(islice(file.decode(video=0), places[-1] + 2)):
        length = place + 1
        if place in places:
            kept[place] = fit(_upright(frame), size)
            rotated = rotated or bool(frame.rotation)
    return _Seen(kept, length, rotated)


def _upright(frame: VideoFrame) -> Image.Image:
    """As players show it: phones film on their side and say by how much."""
    check_pixels(frame.width, frame.height)  # which may change from frame to frame
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
