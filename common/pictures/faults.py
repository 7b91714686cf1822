"""A picture that shows nothing because its numbers were NaN or infinite: it carries the cause.

Black pixels look like an image. Whoever samples marks such a picture, the mark goes into the file,
and whoever judges counts a failure with its cause, no wrong answer and no loser.
"""

from __future__ import annotations

from PIL import Image

KEY = "sipo:fault"
"""In `Image.info`, and a text chunk of a PNG."""


def spoiled(image: Image.Image, fault: str | None) -> Image.Image:
    """The image, marked where there is a fault."""
    if fault is not None:
        image.info[KEY] = fault
    return image


def fault_of(image: Image.Image) -> str | None:
    fault = image.info.get(KEY)
    return str(fault) if fault else None
