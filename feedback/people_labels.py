"""What people said of images, right or wrong: a CSV or lines of JSON, one row an answer.

    image,right,rater            {"image": "00000/samples/0000.png", "right": true}
    00000/samples/0000.png,yes,anna

`candidate` instead of `image` names one of a folder of shards. An image that several looked at is
what most say; where as many say the other it has no label.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from sipo.common.files.csv_rows import csv_rows
from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import numbered_lines, read_text

_SAID = {"true": True, "yes": True, "right": True, "correct": True, "1": True}
_SAID |= {"false": False, "no": False, "wrong": False, "incorrect": False, "0": False}
_ROW = 'a row looks like {"image": "00000/samples/0000.png", "right": true}'
NAMES = ("image", "candidate")


def read_labels(path: Path) -> dict[str, bool | None]:
    """By image or candidate; None where people do not agree. Raises ValueError for a bad row."""
    votes: dict[str, list[bool]] = {}
    for where, row in _rows(path):
        name, said = _label(row, where)
        votes.setdefault(name, []).append(said)
    if not votes:
        raise ValueError(f"--people {str(path)!r} has no labels; {_ROW}")
    return {name: _most(said) for name, said in votes.items()}


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, object]]]:
    text = read_text(path, "--people")
    if path.suffix.lower() in (".csv", ".tsv"):
        yield from csv_rows(path, text)
        return
    for where, line in numbered_lines(text, path):
        row = parse_json(line, where)
        if not isinstance(row, dict):
            raise ValueError(f"{where}: no label; {_ROW}")
        yield where, row


def _label(row: Mapping[str, object], where: str) -> tuple[str, bool]:
    if "decision" in row or "order" in row:
        of = "sipo-data review" if "decision" in row else "sipo-geneval rank"
        raise ValueError(
            f"{where}: an answer of {of}, which says what is better and of no image whether it is "
            + (
                "right; give the folder of shards with its own review.jsonl"
                if "decision" in row
                else "right; sipo-geneval card EVAL... --ranks says how far scores agree with it"
            )
        )
    named = [row[name] for name in NAMES if row.get(name)]
    if len(named) != 1 or not isinstance(named[0], str):
        raise ValueError(f"{where}: names no image and no candidate, or both; {_ROW}")
    said = _SAID.get(str(row.get("right")).strip().lower())
    if said is None:
        raise ValueError(
            f"{where}: right is {str(row.get('right'))[:40]!r}; write true or false, yes or no"
        )
    return named[0], said


def _most(said: list[bool]) -> bool | None:
    yes = sum(said)
    return None if 2 * yes == len(said) else 2 * yes > len(said)
