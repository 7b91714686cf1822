"""From bytes nobody trusts to a clip of the asked frames, rate and size."""

from __future__ import annotations

import io
from itertools import islice
from typing import Any

from PIL import Image

from sipo.common.pictures.decode import UnreadableError, check_pixels
from sipo.common.pictures.picture import Clip, make_clip
from sipo.datagen.imports.rows import UnusableError
from sipo.datagen.imports.untrusted_images import Size, fit

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
            stream = file.streams.video[0]
            context = stream.codec_context
            check_pixels(context.width, context.height)
            rate = float(stream.average_rate or fps)
            places = [round(i * rate / fps) for i in range(frames)]
            if places[-1] >= MAX_DECODED:
                raise UnusableError("clip has too many frames a second")
            kept, turned, count = {}, False, 0
            for count, frame in enumerate(islice(file.decode(video=0), places[-1] + 2), 1):
                if count - 1 in places:
                    kept[count - 1] = fit(_upright(frame), size)
                    turned = turned or bool(frame.rotation)
            same = (context.name, context.width, context.height, rate, count, turned)
    except UnreadableError as error:
        raise UnusableError(str(error)) from None
    except (UnusableError, MemoryError):
        raise
    except Exception:  # whatever the decoders raise for bytes that are damaged
        raise UnusableError("not a readable video") from None
    if count <= places[-1]:
        raise UnusableError("clip is too short")
    chosen = [kept[place] for place in places]
    if same == ("h264", *size, float(fps), frames, False):
        return Clip(data, tuple(chosen), float(fps))
    return make_clip(chosen, fps)


def _upright(frame: Any) -> Image.Image:
    """As players show it: phones film on their side and say by how much."""
    check_pixels(frame.width, frame.height)  # which may change from frame to frame
    image = Image.fromarray(frame.to_ndarray(format="rgb24"))
    return image.rotate(frame.rotation, expand=True) if frame.rotation else image
