"""Safetensors read by rows and written one tensor at a time are those of the library."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from sipo.common.files.stored_tensors import (
    checksum,
    in_file_order,
    stored_tensors,
    write_tensors,
)

TENSORS = {
    "b.weight": torch.arange(24.0).reshape(6, 4),
    "a.half": torch.arange(6.0).bfloat16().reshape(3, 2),
    "number": torch.tensor(3, dtype=torch.int64),
    "c.bits": torch.arange(5, dtype=torch.uint8),
    "ä.turned": torch.arange(6.0).reshape(2, 3).T,
}


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "a.safetensors"
    write_tensors(path, TENSORS, (TENSORS[name] for name in in_file_order(TENSORS)))
    return path


def test_the_bytes_are_those_of_the_library(written: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.safetensors"
    save_file({k: v.contiguous() for k, v in TENSORS.items()}, theirs, {"format": "pt"})
    assert written.read_bytes() == theirs.read_bytes()
    assert checksum(written) == checksum(theirs)


def test_rows_are_rows(written: Path) -> None:
    stored, loaded = stored_tensors(written, "a file"), load_file(written)
    assert stored.keys() == loaded.keys()
    for name, value in loaded.items():
        assert torch.equal(stored[name][:], value)
        for rows in (slice(1, 3), slice(2, 2), slice(2, 99)) if value.ndim else ():
            assert torch.equal(stored[name][rows], value[rows])


def test_a_file_that_shrinks_while_it_is_read(written: Path) -> None:
    stored = stored_tensors(written, "a file")
    written.write_bytes(written.read_bytes()[:-8])
    last = max(stored.values(), key=lambda tensor: tensor.begin)
    with pytest.raises(ValueError, match="was cut off while it was read"):
        last[:]
