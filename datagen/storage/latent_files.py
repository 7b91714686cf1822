"""Tensors as files: latents in the tars, and the embeddings of a shard's prompts beside it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from sipo.common.files.urls import UrlPath
from sipo.common.files.writing import atomic
from sipo.datagen.storage.far_embeddings import far_made_by, read_far


def to_npy(latents: Tensor) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, latents.numpy())
    return buffer.getvalue()


_one_parses = Lock()
"""NumPy reads an array's header by `ast`, whose count of depth threads share in Python 3.11.7: now
and then "SystemError: AST constructor recursion depth mismatch" (python/cpython#106905)."""


def from_npy(data: bytes) -> Tensor:
    with _one_parses:
        return torch.from_numpy(np.load(io.BytesIO(data), allow_pickle=False))


def write_embeddings(path: Path, rows: Mapping[str, Mapping[str, Tensor]], made_by: str) -> None:
    """`rows`: of each text, and of a picture by its hash, what the denoiser is conditioned on,
    without a batch axis."""
    tensors = {
        f"{text_key(text)}/{name}": row.cpu().contiguous()
        for text, conditioning in rows.items()
        for name, row in conditioning.items()
    }
    with atomic(path) as file:
        file.write(save(tensors, metadata={"made_by": made_by}))


def holds_embeddings(path: Path, made_by: Sequence[str]) -> bool:
    """Whether they are there, whole and of this backbone."""
    if isinstance(path, UrlPath):
        return far_made_by(path) in made_by
    try:
        with safe_open(path, "pt") as file:
            return (file.metadata() or {}).get("made_by") in made_by
    except (FileNotFoundError, SafetensorError):
        return False


def conditioning_of(path: Path, *parts: str) -> dict[str, Tensor]:
    """What a prompt of these parts (its text, of an edit the picture, too) tells the denoiser."""
    return {name: row for part in parts for name, row in _of_part(path, part).items()}


def _of_part(path: Path, text: str) -> dict[str, Tensor]:
    prefix = f"{text_key(text)}/"
    if isinstance(path, UrlPath):
        return read_far(path, prefix)
    with safe_open(path, "pt") as file:
        names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118
        return {name.removeprefix(prefix): file.get_tensor(name) for name in names}


def text_key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
