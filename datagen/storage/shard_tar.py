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
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from pydantic import Field

from sipo.common.files.urls import read_ranges
from sipo.common.files.writing import atomic, write_json
from sipo.datagen.storage.untrusted_json import Count

Place = Annotated[tuple[Count, Count], Field(strict=False)]  # strict would refuse JSON's lists
Members = dict[str, Place]
"""Field ("png", "latents.npy") -> (offset, bytes) in the tar."""


@dataclass(frozen=True)
class TarSample:
    """`facts` go into the index, so that a summary need not open the tar."""

    key: str
    fields: Mapping[str, bytes]
    facts: Mapping[str, object] = field(default_factory=dict)


def write_shard(
    path: Path, samples: Iterable[TarSample], more: Callable[[], Mapping[str, object]]
) -> None:
    """`path` is the tar's. `more()`, called after the last sample, is added to the index."""
    index_path = path.with_suffix(".json")
    index: dict[str, dict[str, object]] = {}
    with atomic(path) as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in samples:
                members = {name: _add(tar, sample, name) for name in sample.fields}
                index[sample.key] = {"members": members, **sample.facts}
        size = file.tell()
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        index_path.unlink(missing_ok=True)  # from here to its rewriting the shard is not done
    tar_facts = {"bytes": size, "sha256": digest}
    write_json(index_path, {"tar": tar_facts, "samples": index, **more()})


def read_fields(path: Path, members: Members) -> dict[str, bytes]:
    """The bytes of some members of a tar, by the offsets of the index."""
    return dict(zip(members, read_ranges(path, list(members.values())), strict=True))


def scan(path: Path) -> dict[str, Members]:
    """The samples of a tar as WebDataset sees them, without an index: key -> members.

    Raises ValueError when the tar ends inside a member or is no tar.
    """
    samples: dict[str, Members] = {}
    try:
        size = path.stat().st_size
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                key, _, name = info.name.partition(".")
                samples.setdefault(key, {})[name] = (info.offset_data, info.size)
                if info.offset_data + info.size > size:
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
