"""A list of pairs, JSON or CSV, with `prompt`, `winner`, `loser` and perhaps `margin` a row.

`winner` and `loser` are paths inside --images, or inside the folder of the list.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sipo.datagen.imports.lists import listed_rows, the_list
from sipo.datagen.imports.rows import PairRow, Rows, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, read_inside
from sipo.datagen.imports.values import UnusableError, margin_of, text_of


def files(settings: ImportSettings) -> list[Path]:
    return the_list(settings.source)


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    [path] = files
    root = Root(settings.images or path.parent, settings.follow_links)
    for key, row in listed_rows(path, ("prompt", "winner", "loser"), ("margin",)):
        yield row_or_dropped(key, partial(_row, key, root, row))


def _row(key: str, root: Root, row: Mapping[str, object] | str) -> PairRow:
    if isinstance(row, str):
        raise UnusableError(row)
    winner, loser = (read_inside(root, row.get(role)) for role in ("winner", "loser"))
    return PairRow(key, text_of(row.get("prompt")), winner, loser, margin_of(row.get("margin")))
