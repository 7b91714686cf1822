"""Shards of pairs: `KEY.jpg_0.jpg KEY.jpg_1.jpg KEY.label_0.txt KEY.label_1.txt
KEY.original_prompt.txt`, as diffusers' ORPO script reads them.

The tars are read directly: the webdataset library's decoders would unpickle what is in them. A
tar's headers are read first, a few hundred bytes of memory each; then one sample at a time.
"""

from __future__ import annotations

import tarfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

from sipo.datagen.imports.rows import Dropped, PairRow, Rows, by_labels, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import MAX_FILE_BYTES, source_files
from sipo.datagen.imports.values import UnusableError

PICTURES = ("jpg_0", "jpg_1", "mp4_0", "mp4_1")
LABELS = ("label_0", "label_1")
PROMPTS = ("original_prompt", "caption")
FIELDS = (*PICTURES, *LABELS, *PROMPTS, "margin")
CUT = "truncated tar"
SAMPLES = "one key twice in a tar"
ONE_FIELD = "one field twice in a sample"


@dataclass(frozen=True, slots=True)
class Member:
    """Of a tar: where its bytes are, or why they cannot be used."""

    key: str
    field: str
    offset: int
    size: int
    cause: str = ""


def files(settings: ImportSettings) -> list[Path]:
    return source_files(Path(settings.source), "*.tar")


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    for path in files:
        members, damage = _members(path)
        cut = members[-1].key if damage == CUT and members else None
        with path.open("rb") as file:
            for key, sample in _samples(members):
                name = f"{path.name}:{key}"
                if key == cut:
                    continue
                if isinstance(sample, str):
                    yield Dropped(name, sample)
                else:
                    yield row_or_dropped(name, partial(_row, name, sample, file))
        if damage:
            yield Dropped(f"{path.name}:{cut or ''}", damage)


def _samples(members: list[Member]) -> Iterator[tuple[str, list[Member] | str]]:
    """(key, the members of one sample, or why they are none), in the order of the keys.

    Members of one key that stand side by side and are a whole pair are a sample. Else all of that
    key are, wherever they stand (a tar may be sorted by field), so long as no field comes twice:
    then nobody can tell which label and prompt belong to which picture.
    """
    runs: dict[str, list[list[Member]]] = {}
    for key, group in groupby(members, key=lambda member: member.key):
        runs.setdefault(key, []).append(list(group))
    for key, parts in runs.items():
        if len(parts) > 1 and all(map(_is_whole, parts)):
            yield from ((key, part) for part in parts)
            continue
        together = [member for part in parts for member in part]
        times = Counter(member.field for member in together if member.field in FIELDS)
        pictures = max((times[field] for field in PICTURES), default=0)
        if max(times.values(), default=1) == 1:
            yield key, together
        else:
            yield from [(key, SAMPLES if pictures > 1 else ONE_FIELD)] * max(pictures, 1)


def _is_whole(sample: list[Member]) -> bool:
    """A pair without any field twice."""
    fields = [member.field for member in sample if member.field in FIELDS]
    kind = "mp4" if "mp4_0" in fields else "jpg"
    needed = {f"{kind}_0", f"{kind}_1", *LABELS}
    whole = needed <= set(fields) and not set(PROMPTS).isdisjoint(fields)
    return whole and len(set(fields)) == len(fields)


def _row(key: str, sample: list[Member], file: BinaryIO) -> PairRow:
    for member in sample:
        if member.cause:
            raise UnusableError(member.cause)
    fields = {m.field: _content(file, m) for m in sample if m.field in FIELDS}
    kind = "mp4" if "mp4_0" in fields else "jpg"
    if not fields.keys() & {f"{kind}_0", f"{kind}_1", *LABELS}:
        raise UnusableError("sample of another kind")
    prompt = next((fields[name] for name in PROMPTS if name in fields), None)
    pictures = (fields.get(f"{kind}_0"), fields.get(f"{kind}_1"))
    first, second = (fields.get(name) for name in LABELS)
    return by_labels(key, prompt, pictures, (first, second), fields.get("margin"))


def _content(file: BinaryIO, member: Member) -> bytes:
    file.seek(member.offset)
    return file.read(member.size)


def _members(path: Path) -> tuple[list[Member], str]:
    """(those of samples, in the tar's order; what is wrong with the tar).

    A tar that ends early loses the sample of its last member.
    """
    members: list[Member] = []
    try:
        with tarfile.open(path, "r:") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # which keep all headers in memory
                if not info.isdir() and not _is_aside(info.name):
                    members.append(_member(info))
            return members, _end(tar)
    except (tarfile.TarError, EOFError, ValueError):
        return members, CUT if members else "not a tar"
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def _end(tar: tarfile.TarFile) -> str:
    """What tarfile does not say: that a file ends between members, or goes on behind the end."""
    file = tar.fileobj
    assert file is not None, "a tar that is open has a file"
    file.seek(tar.offset)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        return CUT
    while block := file.read(2**20):
        if block.strip(b"\0"):
            return "tar goes on behind its end"  # as of two tars made one by cat
    return ""


def _is_aside(name: str) -> bool:
    """No data: what macOS hides beside every file (._0001.jpg), and WebDataset's `__index__`."""
    folder, _, base = name.rpartition("/")
    stem = base.partition(".")[0]
    hidden = base.startswith(".") or "__MACOSX" in folder.split("/")
    return hidden or (len(stem) > 4 and stem.startswith("__") and stem.endswith("__"))


def _member(info: tarfile.TarInfo) -> Member:
    key, field = _split(info.name.removeprefix("./"))
    cause = ""
    if info.name.startswith("/") or ".." in info.name.split("/"):
        cause = "path leads out of the folder"
    elif field in FIELDS and (not info.isreg() or info.issparse()):
        cause = "member is no file"
    elif field in FIELDS and info.size > MAX_FILE_BYTES:
        cause = "picture's file is too large"
    return Member(key, field, info.offset_data, info.size, cause)


def _split(name: str) -> tuple[str, str]:
    """(key, field): "7.jpg_0.jpg" -> ("7", "jpg_0").

    WebDataset's rule, up to the first dot of the base name it is the key, but for keys with dots:
    "img_1.5.jpg_0.jpg" -> ("img_1.5", "jpg_0").
    """
    folder, slash, base = name.rpartition("/")
    stem, *parts = base.split(".")
    for place, part in enumerate(parts):
        if part.lower() in FIELDS:
            return f"{folder}{slash}{'.'.join((stem, *parts[:place]))}", part.lower()
    return f"{folder}{slash}{stem}", parts[0].lower() if parts else ""
