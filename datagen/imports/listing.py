"""A JSON file that is one list of objects, as the HPD datasets come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sipo.datagen.imports.rows import require_columns, source_files
from sipo.datagen.imports.settings import ImportSettings


def read_listing(path: Path, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Raises ValueError for another file, and for a row without one of `columns`.

    Bytes that are no UTF-8 become surrogates, which `text_of` knows. It is read as a whole.
    """
    try:
        listed = json.loads(path.read_bytes().decode("utf-8", errors="surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}); give the dataset's list") from None
    if not isinstance(listed, list):
        raise ValueError(f"{path} is no JSON list of objects; give the dataset's list")
    for number, row in enumerate(listed):
        where = f"{path}, row {number}"
        if not isinstance(row, dict):
            raise ValueError(f"{where} is no JSON object; give the dataset's list")
        require_columns(where, row, columns)
        yield row


def train_json(settings: ImportSettings) -> list[Path]:
    """The list itself, or the `train.json` of a folder."""
    return source_files(Path(settings.source), "train.json")


def keyed_rows(
    settings: ImportSettings, files: Sequence[Path], columns: Sequence[str]
) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Each row with its key and the folder that its pictures' paths start from."""
    for path in files:
        root = settings.images or path.parent
        for number, row in enumerate(read_listing(path, columns)):
            yield f"{path.name}:{number}", root, row
