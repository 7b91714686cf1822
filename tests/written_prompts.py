"""Prompts as a file that commands take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sipo.feedback.prompts.prompt import Prompt


def write_prompts(prompts: Iterable[Prompt], path: Path) -> None:
    path.write_text("".join(f"{prompt.to_json()}\n" for prompt in prompts), encoding="utf-8")
