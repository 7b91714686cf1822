"""What published judges are asked, word for word (`questions/`, with its sources and licences)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PLACE = "{text_prompt}"


def official_question(name: str, prompt: str) -> str:
    """`questions/{name}.txt` about a prompt."""
    return _text(name).replace(_PLACE, prompt)


@cache
def _text(name: str) -> str:
    file = Path(__file__).parent / "questions" / f"{name}.txt"
    return file.read_bytes().decode("utf-8")
