"""From a format's name to the file that reads it."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from sipo.datagen.imports.rows import Rows
    from sipo.datagen.imports.settings import ImportSettings


class Format(Protocol):
    def files(self, settings: ImportSettings) -> list[Path]:
        """Those that list the rows. Raises ValueError where there is none."""

    def rows(self, settings: ImportSettings, files: list[Path]) -> Rows:
        """All rows, always in the same order, nothing decoded.

        Raises ValueError for a source that is of another format.
        """


_FILES = {"candidates": "unjudged"}
"""Where a format's file is not called as it is."""


def load_format(name: str) -> Format:
    return cast(Format, import_module(f"sipo.datagen.imports.{_FILES.get(name, name)}"))
