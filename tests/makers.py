"""Tiny pipelines of every family, each written into a folder: name -> maker."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tiny import tiny_pipeline
from tiny_chroma import tiny_chroma
from tiny_flux import tiny_flux
from tiny_flux2 import tiny_flux2, tiny_flux2_klein
from tiny_hunyuan_video import tiny_hunyuan_video
from tiny_ltx2 import tiny_ltx2
from tiny_qwen_image import tiny_qwen_image, tiny_qwen_image_21
from tiny_sana import tiny_sana
from tiny_sd3 import tiny_sd3
from tiny_sdxl import tiny_sdxl
from tiny_video import tiny_cogvideox, tiny_wan
from tiny_z_image import tiny_z_image

IMAGES: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny_pipeline,
    "sd2": partial(tiny_pipeline, prediction_type="v_prediction"),
    "sdxl": tiny_sdxl,
    "flux": tiny_flux,
    "flux2": tiny_flux2,
    "flux2_klein": tiny_flux2_klein,
    "chroma": tiny_chroma,
    "sd3": tiny_sd3,
    "sana": tiny_sana,
    "qwen_image": tiny_qwen_image,
    "qwen_image_21": tiny_qwen_image_21,
    "z_image": tiny_z_image,
}
ALL: dict[str, Callable[[Path], Path]] = {
    **IMAGES,
    "cogvideox": tiny_cogvideox,
    "hunyuan_video": tiny_hunyuan_video,
    "ltx2": tiny_ltx2,
    "wan": tiny_wan,
    "wan22_5b": partial(tiny_wan, kind="5b"),
    "wan22_a14b": partial(tiny_wan, kind="a14b"),
}
