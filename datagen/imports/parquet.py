"""Parquet files by pyarrow, which only those who have such files need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

ROWS = 16  # read at a time: each has two pictures in it


def require_package(name: str, for_what: str) -> ModuleType:
    """Raises ValueError with the remedy where an optional package is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise ValueError(
            f"{for_what} needs the package {name.partition('.')[0]!r}, which is not installed; "
            "run pip install 'sipo[data]'"
        ) from None


@dataclass(frozen=True)
class Table:
    names: list[str]  # of its columns
    rows: Callable[[Sequence[str]], Iterator[Mapping[str, object]]]
    """Of some columns."""


@contextmanager
def read_parquet(path: Path) -> Iterator[Table]:
    """Raises ValueError for a file that is damaged or no parquet."""
    pyarrow = require_package("pyarrow", f"reading {path.name}")
    parquet = import_module("pyarrow.parquet")
    try:
        with path.open("rb") as file, parquet.ParquetFile(file) as table:

            def rows(columns: Sequence[str]) -> Iterator[Mapping[str, object]]:
                for batch in table.iter_batches(batch_size=ROWS, columns=list(columns)):
                    yield from batch.to_pylist()

            yield Table(list(table.schema_arrow.names), rows)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:  # the last: of names
        if isinstance(error, OSError) and error.filename is not None:
            raise  # it cannot be opened at all
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path} is damaged or no parquet ({first_line}); get it again") from None
