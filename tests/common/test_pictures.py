"""Images of a user's disk: upright, RGB, or a sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from sipo.common.pictures.picture import read_image


def test_exif_turns_an_image_as_the_official_evaluator_does(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4), "blue")
    image.paste("red", (0, 0, 4, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter to the right
    image.save(tmp_path / "turned.png", exif=exif)
    found = read_image(tmp_path / "turned.png")
    assert (found.size, found.getpixel((0, 0)), found.getpixel((0, 7))) == (
        (4, 8),
        (255, 0, 0),
        (0, 0, 255),
    )


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(side: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))


DAMAGED = {
    "nothing": b"",
    "text": b"no image",
    "no pixels": header(8) + chunk(b"IEND", b""),
    "a broken chunk": header(8) + b"\0\0\0\x04\0\0\0\0junk" + bytes(8),
    "a bomb": header(60000) + chunk(b"IDAT", zlib.compress(b"")),
}


@pytest.mark.parametrize("data", DAMAGED.values(), ids=DAMAGED)
def test_what_is_no_whole_image_is_a_sentence(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match=r"unreadable image \([a-z ]+\)"):
        read_image(tmp_path / "a.png")
