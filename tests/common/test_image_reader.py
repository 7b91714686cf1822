"""One reader of images: what a file shows is judged and imported alike, or refused in words."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from sipo.common.pictures.decode import UnreadableError, decode
from sipo.common.pictures.picture import from_bytes, read_image
from sipo.datagen.imports.untrusted_images import read_image as imported
from sipo.pages.shown_pictures import image_uri

SIDE = 8
WHITE, BLACK = (255, 255, 255), (0, 0, 0)


def encoded(image: Image.Image, kind: str = "PNG", **given: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **given)
    return buffer.getvalue()


def noise(seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(bits: int, value: int, transparent: int) -> bytes:
    """One pixel of `value`, of `bits` bits, with a tRNS chunk."""
    row = value.to_bytes(2) if bits == 16 else bytes([value << (8 - bits)])
    header = struct.pack(">IIBBBBB", 1, 1, bits, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"tRNS", transparent.to_bytes(2)))
    parts += ((b"IDAT", zlib.compress(b"\0" + row)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def text(key: str, size: int, zipped: bool = True) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_text(key, "x" * size, zip=zipped)
    return info


def broken_text() -> bytes:
    png = bytearray(encoded(noise(), pnginfo=text("a", 3, zipped=False)))
    png[png.find(b"tEXt") + 8] ^= 1
    return bytes(png)


def late_text() -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"workflow\0\0" + zlib.compress(bytes(2_000_000)), after_idat=True)
    return encoded(noise(), pnginfo=info)


def animated() -> bytes:
    return encoded(noise(), save_all=True, append_images=[noise(1)])


LONG_METADATA = {
    "a workflow of 2 MB": encoded(noise(), pnginfo=text("workflow", 2_000_000)),
    "texts of 70 MB": encoded(noise(), pnginfo=text("workflow", 70_000_000)),
    "a profile of 2 MB": encoded(noise(), icc_profile=bytes(2_000_000)),
    "text behind the pixels": late_text(),
    "a wrong checksum in a text": broken_text(),
    "an animation": animated(),
    "bytes behind the end": encoded(noise()) + b"trailing",
}


@pytest.mark.parametrize("png", LONG_METADATA.values(), ids=LONG_METADATA)
def test_what_is_no_pixel_costs_no_picture(png: bytes) -> None:
    found = decode(png)
    assert found.tobytes() == noise().tobytes()
    assert found.info == {}


def test_a_wrong_checksum_of_pixels_is_damage() -> None:
    """The stream itself is whole, so that Pillow would take it."""
    png = encoded(noise())
    at = png.find(b"IDAT") + 4 + struct.unpack(">I", png[png.find(b"IDAT") - 4 :][:4])[0]
    with pytest.raises(UnreadableError, match="damaged picture"):
        decode(png[:at] + bytes(4) + png[at + 4 :])


GROUNDS = {
    "RGBA": (encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0))), WHITE),
    "half": (encoded(Image.new("RGBA", (2, 2), (255, 0, 0, 128))), (255, 127, 127)),
    "LA": (encoded(Image.new("LA", (2, 2), (0, 0))), WHITE),
    "palette": (encoded(Image.new("P", (2, 2), 0), transparency=0), WHITE),
    "RGB with tRNS": (encoded(Image.new("RGB", (2, 2), BLACK), transparency=BLACK), WHITE),
    "1 bit": (encoded(Image.new("1", (2, 2), 1)), WHITE),
    "1 bit, transparent": (grey_png(1, 0, 0), WHITE),
    "2 bits, transparent": (grey_png(2, 2, 2), WHITE),
    "4 bits, transparent": (grey_png(4, 7, 7), WHITE),
    "4 bits, not": (grey_png(4, 7, 8), (119, 119, 119)),
    "16 bits, transparent": (grey_png(16, 300, 300), WHITE),
    "16 bits, not": (grey_png(16, 128 * 256 + 7, 0), (128, 128, 128)),
    "CMYK": (encoded(Image.new("CMYK", (2, 2), (0, 0, 0, 0)), "JPEG"), WHITE),
    "WebP": (encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "WEBP", lossless=True), WHITE),
}


@pytest.mark.parametrize("name", GROUNDS)
def test_every_door_shows_the_same(name: str, tmp_path: Path) -> None:
    data, expected = GROUNDS[name]
    (tmp_path / "a.png").write_bytes(data)
    judged = read_image(tmp_path / "a.png")
    for found in (judged, imported(data, judged.size), from_bytes(data, "png")):
        assert isinstance(found, Image.Image)
        assert (found.mode, found.getpixel((0, 0))) == ("RGB", expected)
    assert image_uri(judged, 64).startswith("data:image/png;base64,")


def exif(ifd: bytes, entries: int) -> bytes:
    payload = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", entries) + ifd + bytes(4)
    return b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload


TURN = struct.pack("<HHII", 0x0112, 3, 1, 6)  # a quarter to the right
EXIF = {
    "a pointer beyond the file": (exif(TURN + struct.pack("<HHII", 0x8769, 4, 1, 2**24), 2), True),
    "a huge count": (exif(TURN + struct.pack("<HHII", 0x010E, 2, 2**31 - 1, 32), 2), True),
    "garbage": (b"\xff\xe1\0\x0eExif\0\0garbag", False),
    "cut": (exif(b"\x12\x01", 5), False),
    "nothing in it": (b"\xff\xe1\0\x08Exif\0\0", False),
    "an orientation of 9": (exif(struct.pack("<HHII", 0x0112, 3, 1, 9), 1), False),
}


@pytest.mark.parametrize(("app1", "turned"), EXIF.values(), ids=EXIF)
def test_broken_exif_costs_no_picture(app1: bytes, turned: bool) -> None:
    image = Image.new("RGB", (32, 16), "blue")
    image.paste("red", (0, 0, 16, 16))
    jpeg = encoded(image, "JPEG")
    found = decode(jpeg[:2] + app1 + jpeg[2:])
    assert found.size == ((16, 32) if turned else (32, 16))
    red, _, blue = np.asarray(found)[2, 2]
    assert red > 200 > 50 > blue


def test_orientation_of_xmp_in_a_png() -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<x tiff:Orientation="6"/>')
    assert decode(encoded(Image.new("RGB", (4, 2)), pnginfo=info)).size == (2, 4)


def test_greys_of_tiffs(tmp_path: Path) -> None:
    deep = np.full((2, 2), 200 * 256, np.uint16)
    Image.fromarray(deep).save(tmp_path / "16.tif")
    assert read_image(tmp_path / "16.tif").getpixel((0, 0)) == (200, 200, 200)
    for name, kind in (("int", np.int32), ("float", np.float32)):
        Image.fromarray(np.full((2, 2), 1, kind)).save(tmp_path / f"{name}.tif")
        with pytest.raises(ValueError, match="grey of 32 bits, whose white nobody knows"):
            read_image(tmp_path / f"{name}.tif")


def test_bombs_are_refused_by_their_header() -> None:
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))
    with pytest.raises(UnreadableError, match="too many pixels"):
        decode(bomb, foreign=True)
    with pytest.raises(UnreadableError, match="damaged picture"):
        decode(bomb)  # one's own photograph may have 81 million
