"""Pick-a-Pic v1 and v2 (Kirstain et al. 2023), and what else has its columns in parquet files.

`caption, jpg_0, jpg_1` (bytes), `label_0, label_1` (1 and 0; 0.5 each is a tie), `has_label`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sipo.datagen.imports.parquet import read_parquet
from sipo.datagen.imports.rows import Rows, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import source_files
from sipo.datagen.imports.table_rows import columns_of


def files(settings: ImportSettings) -> list[Path]:
    return source_files(Path(settings.source), "*.parquet")


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    """Raises ValueError where a file is damaged or of another kind, before the first row."""
    for path in files:
        with read_parquet(path) as table:
            columns_of(table.names, str(path))
    for path in files:
        with read_parquet(path) as table:
            columns, read = columns_of(table.names, str(path))
            for number, row in enumerate(table.rows(columns)):
                key = f"{path.name}:{number}"
                yield row_or_dropped(key, partial(read, key, row))
