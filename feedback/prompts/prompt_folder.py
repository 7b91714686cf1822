"""A prompt in GenEval's folders: `NNNNN/metadata.jsonl`, one JSON object.

Source: djghosh13/geneval, README. An edit's picture lies beside it and is named there:
`NNNNN/before.png`.
"""

from __future__ import annotations

import json
from pathlib import Path

from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import read_text
from sipo.common.files.writing import atomic, write_text
from sipo.feedback.prompts.before import with_picture
from sipo.feedback.prompts.prompt import Prompt, prompt_of

METADATA = "metadata.jsonl"


def write_prompt(folder: Path, prompt: Prompt) -> None:
    """Raises ValueError for an edit whose picture is not with it."""
    row = prompt.to_row()
    if before := prompt.before:
        name = f"before.{before.suffix}"
        with atomic(folder / name) as file:
            file.write(before.file)
        row["before"] = name
    write_text(folder / METADATA, json.dumps(row) + "\n")


def read_prompt(folder: Path) -> Prompt:
    """With its picture, where it is an edit. Raises ValueError for a file that holds no prompt, or
    for a picture that is not there."""
    path = folder / METADATA
    row = parse_json(read_text(path, "prompt"), str(path))
    return prompt_of(with_picture(row, str(path), folder), str(path))
