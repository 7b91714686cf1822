"""Pictures of any kind and state: one in RGB, or a refusal."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged
from outcome import outcome
from PIL import Image, PngImagePlugin

from sipo.common.pictures.decode import decode
from sipo.common.pictures.picture import read_image
from sipo.datagen.imports import untrusted_images
from sipo.datagen.imports.values import UnusableError

MODES = ("RGB", "RGBA", "L", "LA", "P", "1", "I;16", "CMYK", "F")
KINDS = {"PNG": MODES[:7], "JPEG": ("RGB", "L", "CMYK"), "WEBP": ("RGB", "RGBA"), "GIF": ("P", "L")}
KINDS |= {"TIFF": MODES, "BMP": ("RGB", "L", "1")}


def _encoded(kind: str, mode: str) -> bytes:
    text = PngImagePlugin.PngInfo()
    text.add_text("workflow", "x" * 200, zip=True)
    given = {"pnginfo": text} if kind == "PNG" else {}
    buffer = io.BytesIO()
    Image.new(mode, (9, 7)).save(buffer, kind, **given)
    return buffer.getvalue()


PICTURES = {(kind, mode): _encoded(kind, mode) for kind, modes in KINDS.items() for mode in modes}
UNKNOWN = {("TIFF", "F")}  # whose white nobody knows


@given(data=st.sampled_from(list(PICTURES.values())).flatmap(damaged))
def test_a_damaged_picture(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(data)
    image = outcome(lambda: read_image(path), "picture.png", "image")
    assert image is None or image.mode == "RGB"


@given(data=st.sampled_from(list(PICTURES.values())).flatmap(damaged))
def test_what_an_import_keeps_of_a_damaged_picture(data: bytes) -> None:
    """Shows what was looked at, pixel for pixel, and nothing else."""
    try:
        image = untrusted_images.read_image(data, (9, 7))
    except UnusableError:
        return
    suffix, kept = untrusted_images.to_keep(data, (9, 7))
    assert suffix in ("png", "jpg")
    assert decode(kept).tobytes() == image.tobytes()


@pytest.mark.parametrize("known", sorted(PICTURES.keys() - UNKNOWN))
def test_a_whole_picture_is_read(tmp_path: Path, known: tuple[str, str]) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURES[known])
    assert read_image(path).size == (9, 7)
