"""A list of images (or clips) and the prompts they were made for: CSV, TSV, JSONL or JSON.

image                what it is called: also filename, file_name, path, video
prompt               a text, or a GenEval row (in CSV as JSON): also caption, text, metadata

In JSON the row may be GenEval's own with the image added (tag, include, exclude, prompt, image), or
one with questions.
Paths are relative to the list.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.common.files.csv_rows import csv_rows
from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import numbered_lines, read_text
from sipo.feedback.prompts.prompt import ROW, Prompt, parse_prompt, plain_text

IMAGE = ("image", "filename", "file_name", "path", "video")
PROMPT = ("metadata", "prompt", "caption", "text")
_LOOK = 'give columns image and prompt, or JSONL rows {"image": "a.png", "prompt": "a red cat"}'


@dataclass(frozen=True)
class Listed:
    """`where` names file and line; `line` is that number alone."""

    image: Path
    prompt: Prompt
    where: str


def read_listed(path: Path, known: Sequence[Prompt] = ()) -> list[Listed]:
    """The rows of a list. A text that is one of `known` is that prompt; else a plain text.

    Raises ValueError naming file and line for a row without image or prompt, for a text that is
    none of `known` where there are some, and for an image given twice for one prompt; and one that
    counts and names the images that are not there.
    """
    by_text = {prompt.text.strip(): prompt for prompt in reversed(known)}
    rows = [_listed(path.parent, row, where, by_text) for where, row in read_rows(path)]
    if not rows:
        raise ValueError(f"list {str(path)!r} has no rows; {_LOOK}")
    seen: set[tuple[Path, Prompt]] = set()
    for row in rows:
        if (row.image, row.prompt) in seen:
            raise ValueError(f"{row.where}: {str(row.image)!r} is listed twice for its prompt")
        seen.add((row.image, row.prompt))
    if missing := [row for row in rows if not row.image.is_file()]:
        first = missing[0]
        raise ValueError(
            f"{len(missing)} of the {len(rows)} images of {str(path)!r} are not there, the first "
            f"{str(first.image)!r} ({first.where}); paths are relative to the list"
        )
    return rows


def read_rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    """("FILE, line N", the row). Raises ValueError for a file that is none of the four."""
    suffix = path.suffix.lower()
    text = read_text(path, "list")
    if suffix in (".csv", ".tsv"):
        return csv_rows(path, text)
    if suffix == ".jsonl":
        return _jsonl(path, text)
    if suffix == ".json":
        return _json(path, text)
    raise ValueError(f"list {str(path)!r} is none of .csv, .tsv, .jsonl and .json; name it so")


def _jsonl(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    for where, line in numbered_lines(text, path):
        yield _object(where, line)


def _json(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, object]]]:
    rows = parse_json(text, f"list {str(path)!r}")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"list {str(path)!r} is no JSON list of objects; {_LOOK}")
    return ((f"{path}, row {number}", row) for number, row in enumerate(rows, 1))


def _object(where: str, line: str) -> tuple[str, Mapping[str, object]]:
    row = parse_json(line, where)
    if not isinstance(row, dict):
        raise ValueError(f"{where}: no JSON object; {_LOOK}")
    return where, row


def _listed(
    root: Path, row: Mapping[str, object], where: str, known: Mapping[str, Prompt]
) -> Listed:
    image = next((row[name] for name in IMAGE if row.get(name)), None)
    if not isinstance(image, str):
        raise ValueError(f"{where}: no image; {_LOOK}")
    return Listed(root / image, _prompt(row, where, known), where)


def _prompt(row: Mapping[str, object], where: str, known: Mapping[str, Prompt]) -> Prompt:
    if row.get("include") is not None or isinstance(row.get("questions"), list):
        row = {name: row[name] for name in ROW if row.get(name) is not None}
        return parse_prompt(json.dumps(row), where)
    prompt = next((row[name] for name in PROMPT if row.get(name)), None)
    if isinstance(prompt, dict):
        return parse_prompt(json.dumps(prompt), where)
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValueError(f"{where}: no prompt; {_LOOK}")
    if prompt.lstrip().startswith("{"):
        return parse_prompt(prompt, where)
    if known and prompt.strip() not in known:
        raise ValueError(
            f"{where}: {prompt!r} is none of the {len(known)} prompts asked for; give the --suite "
            "or --prompts that the images were made from, or leave both out"
        )
    return known.get(prompt.strip()) or plain_text(prompt)
