"""One shard on disk: a WebDataset tar and the index that is written after it.

    candidates-000000.tar    cand-00000012.png, .latents.npy, .json
    candidates-000000.json   {"kind", "shard", "tar": {"bytes", "sha256"}, "samples": {key: ...}}

The same samples give the same bytes: no times, owners or modes of this machine. A file appears
under its name only when whole; a tar without index is not done.
"""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sipo.common.files.strict_json import load_json
from sipo.common.files.writing import atomic, write_json
from sipo.datagen.storage.folder_config import check_index, read_object

Members = dict[str, tuple[int, int]]
"""Field ("png", "latents.npy") -> (offset, bytes) in the tar."""


@dataclass(frozen=True)
class TarSample:
    """`facts` go into the index, so that a summary need not open the tar."""

    key: str
    fields: dict[str, bytes]
    facts: dict[str, Any] = field(default_factory=dict)


def write_shard(
    path: Path, samples: Iterable[TarSample], about: Callable[[], dict[str, Any]]
) -> None:
    """`path` is the tar's. `about()`, called after the last sample, is added to the index."""
    index_path = path.with_suffix(".json")
    index: dict[str, dict[str, Any]] = {}
    with atomic(path) as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                members = {name: _add(tar, sample, name) for name in sample.fields}
                index[sample.key] = {"members": members, **sample.facts}
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        index_path.unlink(missing_ok=True)  # from here to its rewriting the shard is not done
    body = {"tar": {"bytes": size, "sha256": digest}, "samples": index}
    write_json(index_path, body | about())


def read_index(path: Path, kind: str) -> dict[str, Any]:
    """The index at `path`. Raises ValueError when it is none, or one of another kind."""
    index = read_object(path)
    if index is None or index.get("kind") != kind:
        raise ValueError(f"{path} is not an index of {kind}; delete it and its tar, then run again")
    check_index(index, path)
    return index


def check_size(path: Path, index: dict[str, Any]) -> None:
    """Raises ValueError when the tar is missing or not of the size its index says."""
    wanted = index["tar"]["bytes"]
    if not path.is_file():
        raise ValueError(f"{path} is missing although its index is there; generate it again")
    if (size := path.stat().st_size) != wanted:
        raise ValueError(
            f"{path} is truncated or changed: {size} bytes where its index says {wanted}; "
            "run the same sipo-data generate again"
        )


def read_fields(path: Path, members: dict[str, Any]) -> dict[str, bytes]:
    """The bytes of some members of a tar, by the offsets of the index."""
    with path.open("rb") as file:
        return {name: _slice(file, offset, size) for name, (offset, size) in members.items()}


def read_row(path: Path, members: dict[str, Any]) -> dict[str, Any]:
    """A sample's `.json`. Raises ValueError where the tar has another thing in its place."""
    try:
        row = load_json(read_fields(path, {"json": members["json"]})["json"])
    except (ValueError, KeyError, RecursionError):
        row = None
    if not isinstance(row, dict):
        raise ValueError(f"{path} was changed or is damaged; see sipo-data validate")
    return row


def scan(path: Path) -> dict[str, Members]:
    """The samples of a tar as WebDataset sees them, without an index: key -> members.

    Raises ValueError when the tar ends inside a member or is no tar.
    """
    samples: dict[str, Members] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            for info in tar:
                key, _, name = info.name.partition(".")
                samples.setdefault(key, {})[name] = (info.offset_data, info.size)
                if info.offset_data + info.size > path.stat().st_size:
                    raise tarfile.ReadError("unexpected end of data")
    except tarfile.TarError as error:
        raise ValueError(f"{path} is truncated or no tar ({error}); generate it again") from None
    return samples


def _add(tar: tarfile.TarFile, sample: TarSample, name: str) -> tuple[int, int]:
    """Append one member. A ustar header is one block of 512 bytes, so the offset is known."""
    info = tarfile.TarInfo(f"{sample.key}.{name}")
    data = sample.fields[name]
    info.size = len(data)
    info.mode = 0o644
    offset = tar.offset + tarfile.BLOCKSIZE
    tar.addfile(info, io.BytesIO(data))
    return offset, len(data)


def _slice(file: BinaryIO, offset: int, size: int) -> bytes:
    file.seek(offset)
    return file.read(size)
