"""The picture that an edit starts from: a prompt's `before`, known by its content.

Three ways to write it: a path relative to the prompt file, as people do; `data:image/...;base64,`
with the picture itself, as the `prompts.jsonl` of a folder of shards does; and `sha256:...`, by
which candidates and pairs say which of those it was.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

MOST_BYTES = 2**23
"""Of a picture's file, 8 MiB: editors see one megapixel, and prompts are held in memory."""

_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_DATA = "data:"
_KINDS = {b"\x89PNG\r\n\x1a\n": "png", b"\xff\xd8\xff": "jpeg", b"RIFF": "webp"}
_SHOWN = 80  # characters of a path that a sentence has


@dataclass(frozen=True)
class Before:
    """`data` is the file as it was; None where the hash alone is known."""

    sha256: str
    data: bytes | None = field(default=None, compare=False, repr=False)

    @property
    def name(self) -> str:
        return f"sha256:{self.sha256}"

    @property
    def kind(self) -> str:
        """png, jpeg or webp."""
        return _kind_of(self.file)

    @property
    def suffix(self) -> str:
        """Of its file."""
        return "jpg" if self.kind == "jpeg" else self.kind

    @property
    def file(self) -> bytes:
        """Raises ValueError where it is not here."""
        if self.data is None:
            raise ValueError(
                f"the picture (before) {self.name[:19]} is not with its prompt; give the prompt "
                "file that has it"
            )
        return self.data

    @property
    def uri(self) -> str:
        """With the picture in it."""
        return f"{_DATA}image/{self.kind};base64,{base64.b64encode(self.file).decode()}"

    def picture(self) -> Image.Image:
        """In RGB, upright. Raises ValueError for bytes that are no whole picture, or not here."""
        from sipo.common.pictures.decode import UnreadableError, decode  # PIL, which help needs not

        try:
            return decode(self.file, foreign=True)
        except UnreadableError as error:
            raise ValueError(
                f"the picture (before) {self.name[:19]} is unreadable: {error}"
            ) from None


def before_of(value: object) -> Before:
    """From what a row has there. Raises ValueError for a path, which only a file's reader knows."""
    if isinstance(value, Before):
        return value
    if isinstance(value, str) and (known := _HASH.fullmatch(value)):
        return Before(known[1])
    if isinstance(value, str) and value.startswith(_DATA):
        try:
            return _checked(base64.b64decode(value.partition("base64,")[2], validate=True))
        except (binascii.Error, ValueError):
            raise ValueError("data: of a picture holds no PNG, JPEG or WebP in base64") from None
    raise ValueError("a picture is a path in a prompt file, or data:image/png;base64, with it")


def with_picture(row: object, where: str, folder: Path) -> object:
    """A row of a prompt file whose `before` is a path in `folder`, with the picture there instead.

    Raises ValueError for a picture that is not there, or that is none.
    """
    path = row.get("before") if isinstance(row, dict) else None
    if not isinstance(path, str) or path.startswith(_DATA) or _HASH.fullmatch(path):
        return row
    assert isinstance(row, dict)
    return {**row, "before": read_before(folder / path, f"{where}: before {path[:_SHOWN]!r}")}


def read_before(file: Path, what: str) -> Before:
    """Decoded once, so that what is damaged is said now."""
    try:
        found = _checked(file.read_bytes())
        found.picture()
    except OSError as error:
        said = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror
        raise ValueError(
            f"{what} cannot be read ({said}); paths are relative to the file"
        ) from None
    except ValueError as error:
        raise ValueError(f"{what} is no picture to begin with: {error}") from None
    return found


def _checked(data: bytes) -> Before:
    if len(data) > MOST_BYTES:
        raise ValueError(
            f"{len(data) / 2**20:.1f} MiB are more than {MOST_BYTES >> 20}; save it smaller"
        )
    _kind_of(data)
    return Before(hashlib.sha256(data).hexdigest(), data)


def _kind_of(data: bytes) -> str:
    kind = next((kind for start, kind in _KINDS.items() if data.startswith(start)), None)
    if kind is None:
        raise ValueError("it is no PNG, JPEG or WebP")
    return kind
