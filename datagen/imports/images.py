"""From bytes nobody trusts to an RGB image of the asked size.

Size and crop are those of diffusers' Diffusion-DPO script (`Resize`, `CenterCrop`): bilinear, as
small as covers the asked size (a square's shorter side), then the middle is cut out.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from sipo.datagen.imports.rows import UnusableError

FORMATS = ("JPEG", "PNG", "WEBP")
Size = tuple[int, int]
"""(width, height) in px, as Pillow has them."""

MAX_PIXELS = 2**26
"""67 million: a decompression bomb says more, and is refused by what its header says."""


def read_image(data: bytes, size: Size) -> Image.Image:
    """RGB of that size. EXIF turns it, alpha lies on white. Raises UnusableError."""
    if not data:
        raise UnusableError("empty picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's of broken EXIF, and of bombs: we look below
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            check_pixels(*image.size)
            image.load()
            return fit(_rgb(ImageOps.exif_transpose(image)), size)
    except UnusableError:
        raise
    except Image.DecompressionBombError:
        raise UnusableError("picture has too many pixels") from None
    except UnidentifiedImageError:
        raise UnusableError("not a JPEG, PNG or WebP") from None
    except (MemoryError, KeyboardInterrupt):
        raise
    except Exception:  # whatever the decoders raise for bytes that are damaged
        raise UnusableError("damaged picture") from None


def check_pixels(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UnusableError("picture has too many pixels")


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


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow would clip at 255
        grey = np.asarray(image).astype(np.int64) // 256
        image = Image.fromarray(grey.clip(0, 255).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")
