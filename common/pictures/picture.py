"""What a judge looks at, an image or a clip, and the file it is kept in: PNG, of others' pictures
also JPEG, or MP4."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from sipo.common.pictures.decode import UnreadableError, decode
from sipo.common.pictures.faults import KEY as FAULT_KEY
from sipo.common.pictures.faults import fault_of

Suffix = Literal["png", "jpg", "mp4"]

QUALITY = {"crf": "12", "preset": "medium", "threads": "1", "flags": "+bitexact", "mbtree": "0"}
"""Of x264: nearly lossless. One thread and no stamps, so that the same frames make the same
bytes; and no macroblock tree, which in small pictures depends on what lies in memory beside."""


DEFLATE = {"compress_level": 1, "compress_type": zlib.Z_RLE}
"""Of PNGs. Pillow's own, level 6, makes files as large of photographs in three to six times the
time, and files a tenth smaller of flat colours (docs/shards.md)."""


@dataclass(frozen=True)
class Clip:
    """`frames` are what `mp4` decodes to: whoever looks again later sees the same.

    `fault` is the cause where they show nothing (sipo.common.pictures.faults).
    """

    mp4: bytes
    frames: tuple[Image.Image, ...]
    fps: float
    fault: str | None = None


Picture = Image.Image | Clip


def make_clip(frames: Sequence[Image.Image], fps: int, crf: int | None = None) -> Clip:
    """H.264 with half the chroma, as every player reads it. Width and height must be even.

    `crf` is for what is only shown: smaller files than `QUALITY` makes.
    """
    import av

    buffer = io.BytesIO()
    options = {"fflags": "+bitexact"}
    with av.open(buffer, "w", format="mp4", container_options=options) as file:
        if fault := next(filter(None, map(fault_of, frames)), None):
            file.metadata["comment"] = f"{FAULT_KEY} {fault}"
        quality = QUALITY if crf is None else {**QUALITY, "crf": str(crf)}
        stream = file.add_stream("libx264", rate=fps, options=quality)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            pixels = np.asarray(frame.convert("RGB"))
            file.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        file.mux(stream.encode())
    return read_clip(buffer.getvalue())


def as_kept(image: Image.Image, frames: Sequence[Image.Image], fps: int | None) -> Picture:
    """What was sampled as it will be read back, so that it is judged as it is kept."""
    return image if fps is None else make_clip(frames, fps)


def read_clip(mp4: bytes) -> Clip:
    """Raises ValueError for bytes that are no video."""
    import av

    try:
        with av.open(io.BytesIO(mp4), "r") as file:
            fps = float(file.streams.video[0].average_rate or 0)
            said = file.metadata.get("comment", "")
            frames = tuple(
                Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in file.decode(video=0)
            )
    except Exception as error:  # whatever the decoders raise for bytes that are damaged
        raise ValueError(f"not a readable video ({type(error).__name__})") from None
    fault = said.removeprefix(FAULT_KEY).strip() if said.startswith(FAULT_KEY) else None
    return Clip(mp4, frames, fps, fault)


def to_bytes(picture: Picture) -> bytes:
    """A clip's are kept as they are, never encoded twice."""
    if isinstance(picture, Clip):
        return picture.mp4
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=_mark(picture), **DEFLATE)
    return buffer.getvalue()


def fault_in(picture: Picture) -> str | None:
    """Why it shows nothing; None for one that can be judged."""
    return picture.fault if isinstance(picture, Clip) else fault_of(picture)


def _mark(image: Image.Image) -> PngInfo | None:
    if (fault := fault_of(image)) is None:
        return None
    mark = PngInfo()
    mark.add_text(FAULT_KEY, fault)
    return mark


def from_bytes(data: bytes, suffix: Suffix) -> Picture:
    return read_clip(data) if suffix == "mp4" else decode(data)


def read_image(path: Path) -> Image.Image:
    """A file of the user's, as `decode` has it. Raises ValueError for what is no whole image."""
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"unreadable image ({error.strerror or error})") from None
    except UnreadableError as error:
        raise ValueError(f"unreadable image ({error})") from None


def strip(clip: Clip) -> Image.Image:
    """First, middle and last frame side by side."""
    shown = [clip.frames[place] for place in (0, len(clip.frames) // 2, -1)]
    width, height = shown[0].size
    row = Image.new("RGB", (len(shown) * width, height))
    for place, frame in enumerate(shown):
        row.paste(frame, (place * width, 0))
    return row
