"""A PNG without the chunks that do not make its pixels.

Pillow expands text (the workflows of ComfyUI, the settings of A1111) and ICC profiles while it
opens a file: it refuses a picture for long ones, and takes a wrong checksum there for another
format. Here they are left out unread. The checksums of what makes pixels are compared, which
Pillow does not do for IDAT (PNG, third edition, sections 5.3 and 11).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from sipo.common.pictures.faults import KEY as FAULT_KEY

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP = b"XML:com.adobe.xmp\0\0"  # keyword, not compressed
_MAX_XMP = 2**20
_FAULT = f"{FAULT_KEY}\0".encode()
_MAX_FAULT = 2**12
_RGB = 2  # colour type
_GREY = 0  # colour type; of grey with less than 8 bits Pillow forgets to scale tRNS


def without_metadata(png: bytes) -> bytes:
    """What makes pixels, and what says which side is up. Raises ValueError where it is damaged."""
    kept = [SIGNATURE]
    header = b""
    for kind, chunk in chunks(png):
        needed = not kind[0] & 0x20 or kind == b"tRNS"  # capital letter: critical
        if not needed and not _orients(kind, chunk) and not _is_fault(kind, chunk):
            continue
        if zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:]):
            if needed:
                raise ValueError(f"checksum of {kind!r}")
            continue
        if kind == b"IHDR":
            header = bytes(chunk[8:-4])
        kept.append(_scaled(chunk, header) if kind == b"tRNS" else bytes(chunk))
        if kind == b"IEND":
            break
    return b"".join(kept)


def chunks(png: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """(kind, length + kind + data + checksum); the last one may be cut."""
    view, at = memoryview(png), len(SIGNATURE)
    while len(png) - at >= 12:
        end = at + 12 + int.from_bytes(view[at : at + 4])
        yield bytes(view[at + 4 : at + 8]), view[at:end]
        at = end


def plain_size(png: bytes) -> tuple[int, int] | None:
    """(width, height) of RGB of 8 bits that says nothing but pixels, as `without_metadata` has it;
    None for any other."""
    kinds = [kind for kind, _ in chunks(png)]
    depth, colour = png[24:26]
    plain = set(kinds) == {b"IHDR", b"IDAT", b"IEND"} and (depth, colour) == (8, _RGB)
    return (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) if plain else None


def _orients(kind: bytes, chunk: memoryview) -> bool:
    return kind == b"eXIf" or (
        kind == b"iTXt" and len(chunk) < _MAX_XMP and chunk[8 : 8 + len(_XMP)] == _XMP
    )


def _is_fault(kind: bytes, chunk: memoryview) -> bool:
    """What our own sampling says of a picture that shows nothing."""
    return kind == b"tEXt" and len(chunk) < _MAX_FAULT and chunk[8:].tobytes().startswith(_FAULT)


def _scaled(chunk: memoryview, header: bytes) -> bytes:
    """tRNS of 2 or 4 bit grey in 8 bits, as Pillow reads the pixels."""
    depth, colour = (header[8], header[9]) if len(header) == 13 else (8, _GREY)
    if colour != _GREY or depth not in (2, 4):
        return bytes(chunk)
    value = int.from_bytes(chunk[8:10]) * 255 // (2**depth - 1)
    body = b"tRNS" + value.to_bytes(2)
    return b"".join(((2).to_bytes(4), body, zlib.crc32(body).to_bytes(4)))
