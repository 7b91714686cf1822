"""From bytes to pixels: the one reader of images, whoever hands them in.

RGB, upright as the camera's EXIF says, on white where it is transparent, 16 bits of grey by their
upper 8, of an animation the first image, without profiles, text and other metadata.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, UnidentifiedImageError

from sipo.common.pictures.faults import fault_of, spoiled
from sipo.common.pictures.png import SIGNATURE, without_metadata
from sipo.common.pictures.quiet import quiet_pillow

FOREIGN = ("JPEG", "PNG", "WebP")
"""What is read of bytes that strangers made: what Pillow has for others is less tried."""

MAX_PIXELS = 2**26
"""67 million, of strangers': a decompression bomb says more, and is refused by its header. Of a
user's own files Pillow's limit holds, 179 million."""

_NO_PICTURE = "not a JPEG, PNG or WebP"
_BEGINNINGS = (SIGNATURE, b"\xff\xd8\xff")  # of PNG and JPEG, however damaged what follows is
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF 2.32, 4.6.4: what puts a picture of that orientation upright."""


class UnreadableError(ValueError):
    """Why bytes are no image, in words that fit into a sentence and that rows are counted by."""


def decode(data: bytes, foreign: bool = False) -> Image.Image:
    """An RGB image without metadata, but for a sampler's own fault (sipo.common.pictures.faults).

    `foreign`: of a stranger. Raises UnreadableError.
    """
    if not data:
        raise UnreadableError("empty picture")
    try:
        with quiet_pillow():  # of broken EXIF, and of bombs: we look below
            return _decoded(data, foreign)
    except (UnreadableError, MemoryError):
        raise
    except Image.DecompressionBombError:
        raise UnreadableError("picture has too many pixels") from None
    except UnidentifiedImageError:
        if data.startswith(_BEGINNINGS):
            raise UnreadableError("damaged picture") from None
        raise UnreadableError(_NO_PICTURE if foreign else "not an image") from None
    except Exception:  # whatever the decoders raise for bytes that are damaged
        raise UnreadableError("damaged picture") from None


def check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnreadableError("picture has too many pixels")


def _decoded(data: bytes, foreign: bool) -> Image.Image:
    if data.startswith(SIGNATURE):
        data = without_metadata(data)
    with Image.open(io.BytesIO(data), formats=FOREIGN if foreign else None) as image:
        if foreign:
            check_pixels(*image.size)
        image.load()
        turn = _turn(image)
        pixels = _on_white(image)
    upright = pixels if turn is None else pixels.transpose(turn)
    upright.info.clear()  # profiles and texts, which Pillow would write again
    return spoiled(upright, fault_of(image))


def _turn(image: Image.Image) -> Image.Transpose | None:
    """None where EXIF says none, or is broken: the pixels are whole all the same."""
    try:
        return _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    except MemoryError:
        raise
    except Exception:
        return None


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _grey(image)
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def _grey(image: Image.Image) -> Image.Image:
    """Of 16 bits, which Pillow would clip at 255; what is transparent is white.

    Numbers of 32 bits have a white that only their maker knows.
    """
    if image.mode == "F" or (image.mode == "I" and image.format not in ("PNG", "PPM")):
        raise UnreadableError("grey of 32 bits, whose white nobody knows")
    values = np.asarray(image).astype(np.int64)
    grey = (values // 256).clip(0, 255).astype(np.uint8)
    if (transparent := image.info.get("transparency")) is not None:
        grey[values == transparent] = 255
    return Image.fromarray(grey).convert("RGB")
