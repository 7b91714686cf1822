"""Pictures of any kind and state: one in RGB, or a refusal."""

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged
from outcome import outcome
from PIL import Image, PngImagePlugin

from sipo.common.pictures.picture import read_image

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


@pytest.mark.parametrize("known", sorted(PICTURES.keys() - UNKNOWN))
def test_a_whole_picture_is_read(tmp_path: Path, known: tuple[str, str]) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(PICTURES[known])
    assert read_image(path).size == (9, 7)
