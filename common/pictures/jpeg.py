"""A JPEG without the segments that do not make its pixels (ITU-T T.81, annex B).

What a camera or an editor writes beside them is left out: where and when a picture was taken,
profiles, previews, comments, and what follows its end. Nothing is decoded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

BEGINNING = b"\xff\xd8\xff"
_END = 0xD9
_SCAN = 0xDA
_FRAMES = (0xC0, 0xC1, 0xC2)  # Huffman-coded, at once or progressive: what every reader has
_TABLES = (0xC4, 0xDB, 0xDD, _SCAN)
_JFIF, _ADOBE = 0xE0, 0xEE  # which say how colours are coded
_DROPPED = (*range(0xE0, 0xF0), 0xFE)
_MARKER = re.compile(rb"\xff+[^\x00\xff]")
_SCAN_END = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")  # no stuffing, no restart; found fast


@dataclass(frozen=True)
class PlainJpeg:
    """Of 8 bits. `size` is (width, height) in px."""

    data: bytes
    size: tuple[int, int]
    components: int  # 3 are a picture in colour


def without_metadata(jpeg: bytes) -> PlainJpeg:
    """What makes pixels. Raises ValueError for a file that is damaged or of a rare kind."""
    kept, frame = [BEGINNING[:2]], b""
    for kind, segment in _segments(jpeg):
        if kind in _FRAMES:
            if frame:
                raise ValueError("a second frame")
            frame = segment
        elif kind == _JFIF and segment[4:9] == b"JFIF\0" and len(segment) >= 18:
            segment = b"\xff\xe0\0\x10" + segment[4:16] + b"\0\0"  # without its preview
        elif kind == _ADOBE and segment[4:9] == b"Adobe" and len(segment) >= 16:
            segment = b"\xff\xee\0\x0e" + segment[4:16]
        elif kind in _DROPPED:
            continue
        elif kind not in _TABLES:
            raise ValueError(f"segment {kind:#x}")
        kept.append(segment)
    if len(frame) < 10 or frame[4] != 8:
        raise ValueError("no frame of 8 bits")
    size = int.from_bytes(frame[7:9]), int.from_bytes(frame[5:7])
    return PlainJpeg(b"".join(kept) + bytes((0xFF, _END)), size, frame[9])


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, it and what belongs to it, of a scan its data too), up to the end of the image."""
    at = len(BEGINNING) - 1
    while True:
        if (marker := _MARKER.match(jpeg, at)) is None:
            raise ValueError("no marker where one belongs")
        kind, at = jpeg[marker.end() - 1], marker.end() - 2
        if kind == _END:
            return
        length = int.from_bytes(jpeg[at + 2 : at + 4])
        end = at + 2 + length
        if length < 2 or end > len(jpeg):
            raise ValueError("a segment that is cut")
        if kind == _SCAN:
            if (following := _SCAN_END.search(jpeg, end)) is None:
                raise ValueError("a scan that is cut")
            end = following.start()
        yield kind, jpeg[at:end]
        at = end
