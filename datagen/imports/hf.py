"""A Hugging Face dataset, by "owner/name" or a local folder, streamed.

Columns as in `tables.py`; pictures are in the rows, or files of the local folder. `datasets` runs
no code of a dataset; pictures are decoded by us.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from sipo.datagen.imports.parquet import require_package
from sipo.datagen.imports.rows import PairRow, Rows, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, read_inside
from sipo.datagen.imports.table_rows import PICTURES, Reader, columns_of


class Stream(Protocol):
    """A dataset of `datasets` that is read as it comes."""

    column_names: list[str] | None
    features: Mapping[str, object] | None

    def select_columns(self, names: list[str]) -> Stream: ...
    def cast_column(self, name: str, feature: object) -> Stream: ...
    def __iter__(self) -> Iterator[Mapping[str, object]]: ...


def files(settings: ImportSettings) -> list[Path]:
    """Those of a local folder that `datasets` reads for the split.

    None of a hub dataset, whose revision says what it is.
    """
    source = Path(settings.source)
    if source.is_dir():
        return _data_files(settings)
    if settings.source.count("/") != 1 or settings.source.startswith((".", "/")):
        raise ValueError(
            f"source {settings.source!r} is neither a folder nor a dataset like 'owner/name'"
        )
    return []


def _data_files(settings: ImportSettings) -> list[Path]:
    """Raises ValueError for an --out among them: its files would be taken for data."""
    if settings.out.resolve().is_relative_to(Path(settings.source).resolve()):
        raise ValueError(
            f"--out {str(settings.out)!r} lies in the source, where `datasets` would read it; give "
            "a folder elsewhere"
        )
    datasets = require_package("datasets", "the format hf")
    try:
        builder = datasets.load_dataset_builder(_name(settings))
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(settings, "cannot be opened", error) from None
    by_split = {str(split): files for split, files in (builder.config.data_files or {}).items()}
    if settings.split not in by_split:
        known = ", ".join(by_split) or "none"
        raise ValueError(f"--split {settings.split!r} is none of {settings.source!r}: {known}")
    return [Path(file) for file in by_split[settings.split]]


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    stream = _open(settings)
    names = stream.column_names or next(_read(settings, stream), {})
    columns, read = columns_of(list(names))
    stream = stream.select_columns(list(columns))
    root = Root(Path(settings.source), settings.follow_links) if files else None
    for number, row in enumerate(_read(settings, _undecoded(stream, columns))):
        key = f"{settings.split}:{number}"
        yield row_or_dropped(key, partial(_row, read, root, key, row))


def _row(read: Reader, root: Root | None, key: str, row: Mapping[str, object]) -> PairRow:
    """Pictures that are files of a local folder are read there, never elsewhere."""
    found = dict(row)
    for name in PICTURES:
        picture = row.get(name)
        if root and isinstance(picture, dict) and picture.get("bytes") is None:
            found[name] = read_inside(root, picture.get("path"))
    return read(key, found)


def _open(settings: ImportSettings) -> Stream:
    datasets = require_package("datasets", "the format hf")
    try:
        stream: Stream = datasets.load_dataset(
            _name(settings), split=settings.split, revision=settings.revision, streaming=True
        )
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(settings, "cannot be opened", error) from None
    return stream


def _name(settings: ImportSettings) -> str:
    """As `datasets` takes it, which makes nothing of "."."""
    source = settings.source
    return os.path.abspath(source) if Path(source).is_dir() else source


def _undecoded(stream: Stream, columns: tuple[str, ...]) -> Stream:
    """The rows with pictures as bytes or paths: `datasets` shall decode nothing."""
    datasets = require_package("datasets", "the format hf")
    for name in PICTURES:
        feature = (stream.features or {}).get(name)
        if name in columns and isinstance(feature, datasets.Image | datasets.Video):
            stream = stream.cast_column(name, type(feature)(decode=False))
    return stream


def _read(settings: ImportSettings, stream: Stream) -> Iterator[Mapping[str, object]]:
    """Raises ValueError where files are damaged or the connection breaks."""
    try:
        yield from stream
    except (OSError, RuntimeError, ValueError) as error:
        raise _unreadable(settings, "was read only in part", error) from None


def _unreadable(settings: ImportSettings, how: str, error: Exception) -> ValueError:
    first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ValueError(
        f"dataset {settings.source!r}, --split {settings.split!r}, {how}: {first_line}; mend that "
        "and run the same command again"
    )
