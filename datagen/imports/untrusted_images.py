"""From bytes nobody trusts to an RGB image of the asked size.

Size and crop are those of diffusers' Diffusion-DPO script (`Resize`, `CenterCrop`): bilinear, as
small as covers the asked size (a square's shorter side), then the middle is cut out.
"""

from __future__ import annotations

from PIL import Image

from sipo.common.pictures.decode import UnreadableError, decode
from sipo.datagen.imports.values import UnusableError

Size = tuple[int, int]
"""(width, height) in px, as Pillow has them."""


def read_image(data: bytes, size: Size) -> Image.Image:
    """RGB of that size. Raises UnusableError."""
    try:
        return fit(decode(data, foreign=True), size)
    except UnreadableError as error:
        raise UnusableError(str(error)) from None


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
