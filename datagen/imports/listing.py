"""A JSON file that is one list of objects, as the HPD datasets come."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from sipo.datagen.imports.rows import Root, objects, source_files
from sipo.datagen.imports.settings import ImportSettings


def train_json(settings: ImportSettings) -> list[Path]:
    """The list itself, or the `train.json` of a folder."""
    return source_files(Path(settings.source), "train.json")


def keyed_rows(
    settings: ImportSettings, files: Sequence[Path], columns: Sequence[str]
) -> Iterator[tuple[str, Root, dict[str, Any] | None]]:
    """Each row with its key and the folder that its pictures' paths start from."""
    for path in files:
        root = Root(settings.images or path.parent, settings.follow_links)
        listed = ((f"{path.name}:{number}", row) for number, row in enumerate(_read(path)))
        for key, row in objects(listed, columns):
            yield key, root, row


def _read(path: Path) -> list[Any]:
    """As a whole. Bytes that are no UTF-8 become surrogates, which `text_of` knows."""
    try:
        text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape")
        listed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is no JSON ({error}); give the dataset's list") from None
    if not isinstance(listed, list):
        raise ValueError(f"{path} is no JSON list of objects; give the dataset's list")
    return listed
