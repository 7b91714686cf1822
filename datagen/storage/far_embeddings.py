"""Embeddings by URL: the header once, then the tensors of one text by their ranges."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sipo.common.files.stored_tensors import TYPES
from sipo.common.files.tensor_files import Header, read_header
from sipo.common.files.urls import UrlPath, read_ranges

_headers: dict[str, Header] = {}
"""Of files that were looked at in this process, as they were then."""


def far_made_by(path: UrlPath) -> str | None:
    """As it stands in the file now; None where there is none, or none that is whole."""
    _headers.pop(str(path), None)
    try:
        return _header(path).metadata.get("made_by")
    except (FileNotFoundError, ValueError):
        return None


def read_far(path: UrlPath, prefix: str) -> dict[str, Tensor]:
    """Tensors whose names begin with `prefix`, without it."""
    header = _header(path)
    names = [name for name in header.shapes if name.startswith(prefix)]
    types = [TYPES[header.types[name]] for name in names]
    places = [
        (header.begins[name], math.prod(header.shapes[name]) * dtype.itemsize)
        for name, dtype in zip(names, types, strict=True)
    ]
    return {
        name.removeprefix(prefix): torch.frombuffer(bytearray(data), dtype=dtype).reshape(
            header.shapes[name]
        )
        for name, dtype, data in zip(names, types, read_ranges(path, places), strict=True)
    }


def _header(path: UrlPath) -> Header:
    if str(path) not in _headers:
        _headers[str(path)] = read_header(path, "embeddings")
    return _headers[str(path)]
