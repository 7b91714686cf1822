"""How sharp a picture is: what falls as outlines dissolve, and rises with noise."""

from __future__ import annotations

from statistics import fmean

import numpy as np
from PIL import Image

from sipo.common.pictures.picture import Clip, Picture


def sharpness(picture: Picture) -> float:
    """Variance of the Laplacian of the luminance, 0 to 255; of a clip its frames' mean.

    Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy", with the four
    neighbours of each inner pixel. Comparable between pictures of one size.
    """
    frames = picture.frames if isinstance(picture, Clip) else (picture,)
    return fmean(map(_of_image, frames)) if frames else 0.0


def _of_image(image: Image.Image) -> float:
    if min(image.size) < 3:  # no inner pixel
        return 0.0
    light = np.asarray(image.convert("L"), dtype=np.int16)  # (H, W)
    around = light[:-2, 1:-1] + light[2:, 1:-1] + light[1:-1, :-2] + light[1:-1, 2:]
    return float((around - 4 * light[1:-1, 1:-1]).var(dtype=np.float64))
