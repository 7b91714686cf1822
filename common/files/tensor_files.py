"""Safetensors files of others: what is in one, told without reading its values, and what is wrong.

What stands where weights should, most often: a download that broke off, a pointer that Git LFS did
not replace, an error page, a pickle. Each is a ValueError that names the file and the remedy.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.files.strict_json import load_json

if TYPE_CHECKING:
    from torch import Tensor

LENGTH = 8  # bytes before the header: its length, little endian
MOST = 100_000_000  # bytes of a header, safetensors' own limit
POINTER = b"version https://git-lfs"
_PICKLES = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
AGAIN = "get it again"


@dataclass(frozen=True)
class Header:
    """Names and shapes of a file's tensors, and what its maker wrote beside them."""

    shapes: Mapping[str, tuple[int, ...]]
    metadata: Mapping[str, str] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    """In safetensors' words: "F32"."""
    begins: Mapping[str, int] = field(default_factory=dict)
    """Bytes of the file before a tensor's values."""


def read_header(path: Path, what: str) -> Header:
    """Reads kilobytes of a whole file. `what` begins the sentence: "--weights", "judge weights"."""
    where = f"{what} {str(path)!r}"
    if path.is_dir():
        raise ValueError(f"{where} is a folder; give a .safetensors file")
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(64)
        refuse_no_weights(first, where)
        refuse_pickle(first, where)
        length = int.from_bytes(first[:LENGTH], "little")
        if not first[LENGTH:].startswith(b"{") or length > MOST:
            raise ValueError(f"{where} is no safetensors file; give one that is")
        file.seek(LENGTH)
        text = file.read(length)
    if len(text) < length:
        raise ValueError(f"{where} is cut off after {size} bytes; {AGAIN}")
    return _parse(text, size, where)


def refuse_no_weights(first: bytes, where: str) -> None:
    """By the first bytes of a file that should hold weights, of any format."""
    if not first:
        raise ValueError(f"{where} is empty; {AGAIN}")
    if first.startswith(POINTER):
        raise ValueError(
            f"{where} is a pointer of Git LFS, not the file itself; run 'git lfs pull' there"
        )
    if first.lstrip()[:1] == b"<":
        raise ValueError(f"{where} is a web page, not weights; {AGAIN}")


def refuse_pickle(first: bytes, where: str) -> None:
    if first.startswith(_PICKLES):
        raise ValueError(
            f"{where} is a pickle (.bin, .pt, .ckpt), which could run code and is not read; give "
            "a .safetensors file of the same weights"
        )


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """All tensors, on the CPU; a file that is wrong is refused as by `read_header`."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    read_header(path, what)
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{what} {str(path)!r} is damaged ({error}); {AGAIN}") from None


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The first tensor with NaN or infinity in it."""
    return next(
        (n for n, t in tensors.items() if t.is_floating_point() and not t.isfinite().all()), None
    )


def _parse(text: bytes, size: int, where: str) -> Header:
    """`size` is the file's in bytes; those behind the header must be those it speaks of."""
    before = LENGTH + len(text)
    data = size - before
    try:
        entries = load_json(text)
        metadata = entries.pop("__metadata__", None) or {}
        shapes = {name: tuple(entry["shape"]) for name, entry in entries.items()}
        types = {name: str(entry["dtype"]) for name, entry in entries.items()}
        begins = {name: before + entry["data_offsets"][0] for name, entry in entries.items()}
        end = max((entry["data_offsets"][1] for entry in entries.values()), default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        raise ValueError(f"{where} has a damaged header; {AGAIN}") from None
    if data < end:
        raise ValueError(f"{where} is cut off: {data} of {end} bytes of tensors; {AGAIN}")
    if data > end:
        raise ValueError(f"{where} has {data - end} bytes too many; {AGAIN}")
    if not any(map(math.prod, shapes.values())):
        raise ValueError(f"{where} holds no tensors; give a file with weights")
    return Header(shapes, metadata, types, begins)
