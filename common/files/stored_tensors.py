"""Safetensors one tensor at a time: rows are read without the rest, values written as they come.

The format is 8 bytes of length, a JSON header (types, shapes, places) and the values, row by row.
Read and written with plain `read` and `write`: what is mapped counts as the process's memory.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sipo.common.files.tensor_files import LENGTH, read_header

TYPES = {
    "BOOL": torch.bool,
    "U8": torch.uint8,
    "I8": torch.int8,
    "I16": torch.int16,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I32": torch.int32,
    "F32": torch.float32,
    "F64": torch.float64,
    "I64": torch.int64,
}
"""In safetensors' own order: the widest stand first in a file, and are aligned by it."""
NAMES = {dtype: name for name, dtype in TYPES.items()}
ORDER = {dtype: place for place, dtype in enumerate(TYPES.values())}
ALIGNED = 8  # bytes; the header is filled up with spaces
BLOCK = 1 << 24  # bytes read at once


@dataclass(frozen=True)
class StoredTensor:
    """A tensor whose values are in a file, from byte `begin` on."""

    path: Path
    begin: int
    shape: tuple[int, ...]
    dtype: torch.dtype

    def __getitem__(self, rows: slice) -> Tensor:
        """Some of its rows, on the CPU; of a tensor without dimensions its value."""
        first, last, step = rows.indices(self.shape[0] if self.shape else 1)
        assert step == 1
        shape = (max(0, last - first), *self.shape[1:]) if self.shape else ()
        values = torch.empty(shape, dtype=self.dtype)
        row = math.prod(self.shape[1:]) * self.dtype.itemsize
        if values.numel():
            self._read(self.begin + first * row, as_bytes(values))
        return values

    def _read(self, begin: int, target: memoryview) -> None:
        done = 0
        with self.path.open("rb", buffering=0) as file:
            file.seek(begin)
            while done < len(target):
                count = file.readinto(target[done : done + BLOCK])
                if not count:
                    raise ValueError(f"{str(self.path)!r} was cut off while it was read")
                done += count


def as_bytes(values: Tensor) -> memoryview:
    """Of a contiguous tensor on the CPU, without a copy."""
    return values.detach().flatten().view(torch.uint8).numpy().data


def stored_tensors(path: Path, what: str) -> dict[str, StoredTensor]:
    """All of a file. Raises ValueError as `read_header`, and for types that PyTorch has not."""
    header = read_header(path, what)
    for name, kind in header.types.items():
        if kind not in TYPES:
            raise ValueError(f"{what} {str(path)!r}: {name!r} is of type {kind}, which is not read")
    return {
        name: StoredTensor(path, header.begins[name], shape, TYPES[header.types[name]])
        for name, shape in header.shapes.items()
    }


def in_file_order(tensors: Mapping[str, Tensor]) -> list[str]:
    """As safetensors puts them into a file."""
    return sorted(tensors, key=lambda name: (-ORDER[tensors[name].dtype], name))


def write_tensors(path: Path, like: Mapping[str, Tensor], values: Iterable[Tensor]) -> None:
    """The bytes of safetensors' `save_file`; `values` come `in_file_order`, whole and on the CPU.

    Of `like` only names, types and shapes count.
    """
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name in in_file_order(like):
        begin, end = end, end + like[name].numel() * like[name].dtype.itemsize
        kind, shape = NAMES[like[name].dtype], list(like[name].shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % ALIGNED)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(LENGTH, "little") + text)
        for tensor in values:
            file.write(as_bytes(tensor.contiguous()))
            del tensor  # before the next is made


def checksum(path: Path) -> int:
    """CRC-32 of a file; safetensors has none."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            found = zlib.crc32(block, found)
    return found
