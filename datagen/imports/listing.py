"""JSON: a file that is one list of objects, as the HPD datasets come, or an object a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from sipo.common.files.text import read_text, split_lines
from sipo.datagen.imports.rows import objects
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, source_files
from sipo.datagen.imports.values import json_of, next_json

SURROGATES = "surrogateescape"  # bytes that are no text become what `text_of` knows: one row's loss


def train_json(settings: ImportSettings) -> list[Path]:
    """The list itself, or the `train.json` of a folder."""
    return source_files(Path(settings.source), "train.json")


def keyed_rows(
    settings: ImportSettings, files: Sequence[Path], columns: Sequence[str]
) -> Iterator[tuple[str, Root, dict[str, object] | str]]:
    """Each row, or why it is none, with its key and the folder where its pictures' paths begin."""
    for path in files:
        root = Root(settings.images or path.parent, settings.follow_links)
        listed = ((f"{path.name}:{number}", row) for number, row in enumerate(_read(path)))
        for key, row in objects(listed, columns):
            yield key, root, row


def _read(path: Path) -> list[object]:
    """As a whole."""
    try:
        listed = json_of(read_text(path, "list", errors=SURROGATES))
    except ValueError as error:
        raise ValueError(f"{path} is no JSON ({error}); give the dataset's list") from None
    if not isinstance(listed, list):
        raise ValueError(f"{path} is no JSON list of objects; give the dataset's list")
    return listed


def json_rows(text: str) -> Iterator[tuple[int, object]]:
    """(line, value): of one list, of objects over several lines, or else a value a line.

    A line that is no JSON is None. Lines that begin with # are comments, no rows.
    """
    if (spread := _spread(text)) is not None:
        yield from spread
        return
    for number, line in enumerate(split_lines(text), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, _json(line)


def _spread(text: str) -> list[tuple[int, object]] | None:
    """Where the text is JSON only as a whole: one list, or objects that people can read."""
    start = text.lstrip()
    first, *_ = split_lines(start) or [""]
    if not start.startswith(("[", "{")) or isinstance(_json(first), dict):
        return None
    try:
        values = list(_values(text))
    except ValueError:
        return None
    if len(values) == 1 and isinstance(values[0][1], list):
        return list(enumerate(values[0][1], 1))
    return values


def _values(text: str) -> Iterator[tuple[int, object]]:
    at, line = 0, 1
    while at < len(text):
        if text[at].isspace():
            line += text[at] == "\n"
            at += 1
            continue
        value, end = next_json(text, at)
        yield line, value
        line += text.count("\n", at, end)
        at = end


def _json(line: str) -> object:
    try:
        return json_of(line)
    except ValueError:
        return None
