"""Pieces of a model's or dataset's card, the README.md that the hub shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.files.writing import write_text

if TYPE_CHECKING:
    from huggingface_hub import CardData

CARD = "README.md"


def write_card(folder: Path, head: CardData, parts: Iterable[str]) -> Path:
    """Front matter, then the parts that are not empty."""
    body = "\n\n".join(part.strip() for part in parts if part.strip())
    write_text(folder / CARD, f"---\n{head.to_yaml()}\n---\n\n{body}\n")
    return folder / CARD


def section(title: str, *parts: str) -> str:
    """Empty where nothing is in it."""
    inside = "\n\n".join(part for part in parts if part)
    return f"## {title}\n\n{inside}" if inside else ""


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """In Markdown; empty without rows."""
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    if not lines:
        return ""
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *lines])


def facts(values: Mapping[str, object]) -> str:
    """A table of names and values, without what is None."""
    return table(("", ""), [(name, value) for name, value in values.items() if value is not None])


def code(text: str, language: str = "") -> str:
    """Fenced by more backticks than stand in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"


def plain(text: str) -> str:
    """Words of others inside a card: shown as they are, whatever they mean to Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|!~])", r"\\\1", " ".join(text.split()))


def _cell(value: object) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return " ".join(text.replace("\\|", "|").replace("|", "\\|").split())
