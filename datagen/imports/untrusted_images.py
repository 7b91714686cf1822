"""From bytes nobody trusts to an RGB image of the asked size.

Size and crop are those of diffusers' Diffusion-DPO script (`Resize`, `CenterCrop`): bilinear, as
small as covers the asked size (a square's shorter side), then the middle is cut out.
"""

from __future__ import annotations

from contextlib import suppress

from PIL import Image

from sipo.common.pictures import jpeg, png
from sipo.common.pictures.decode import UnreadableError, decode
from sipo.common.pictures.picture import Suffix, to_bytes
from sipo.datagen.imports.values import UnusableError

Size = tuple[int, int]
"""(width, height) in px, as Pillow has them."""


def read_image(data: bytes, size: Size) -> Image.Image:
    """RGB of that size. Raises UnusableError."""
    try:
        return fit(decode(data, foreign=True), size)
    except UnreadableError as error:
        raise UnusableError(str(error)) from None


def to_keep(data: bytes, size: Size) -> tuple[Suffix, bytes]:
    """A picture as it is kept: its own bytes where they say just what `read_image` has, else PNG.

    It is decoded in any case: what is damaged is no picture. Raises UnusableError.
    """
    image = read_image(data, size)
    return own_bytes(data, image) or ("png", to_bytes(image))


def own_bytes(data: bytes, image: Image.Image) -> tuple[Suffix, bytes] | None:
    """`data` without metadata, where whoever decodes that has `image`, pixel for pixel.

    So not where it was turned, resized or cut, and no grey, CMYK, palette or what is transparent.
    """
    with suppress(ValueError):
        if data.startswith(png.SIGNATURE):
            own = png.without_metadata(data)
            return ("png", own) if png.plain_size(own) == image.size else None
        if data.startswith(jpeg.BEGINNING):
            plain = jpeg.without_metadata(data)
            if (plain.size, plain.components) == (image.size, 3) and _same(plain.data, data, image):
                return "jpg", plain.data
    return None


def _same(own: bytes, data: bytes, image: Image.Image) -> bool:
    """Decoded once more only where something was left out: it may have said which side is up."""
    return own == data or decode(own).tobytes() == image.tobytes()


def fit(image: Image.Image, size: Size) -> Image.Image:
    if max(image.size) > 32 * min(image.size):
        raise UnusableError("picture is a strip, more than 32 times as long as wide")
    if image.size != size:
        scale = max(wanted / has for wanted, has in zip(size, image.size, strict=True))
        covering = [
            max(wanted, round(has * scale)) for wanted, has in zip(size, image.size, strict=True)
        ]
        image = image.resize((covering[0], covering[1]), Image.Resampling.BILINEAR)
        left, top = ((has - wanted) // 2 for has, wanted in zip(covering, size, strict=True))
        image = image.crop((left, top, left + size[0], top + size[1]))
    return image
