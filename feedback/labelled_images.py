"""Images of known content: which prompt each was made for, and whether it shows it.

Two forms. JSONL rows {"image", "prompt": {a GenEval row}, "correct"}, paths relative to the file.
GenEval's folders, NNNNN/metadata.jsonl and NNNNN/samples/*.png: with a results.jsonl the labels are
its; without, every image is taken to show its own prompt and not the next of the same tag.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import numbered_lines, read_text
from sipo.feedback.prompts.prompt import Prompt, parse_prompt, prompt_of

RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Labelled:
    image: Path
    prompt: Prompt
    correct: bool


def read_labelled(path: str | Path) -> list[Labelled]:
    """Raises ValueError for a path that is neither form, a bad row or a missing image."""
    path = Path(path)
    if path.is_file():
        rows = _read_rows(path, path.parent)
    elif (path / RESULTS).is_file():
        rows = _read_rows(path / RESULTS, path)
    elif path.is_dir():
        rows = _read_layout(path)
    else:
        raise ValueError(f"labelled images {str(path)!r} are not there; give a folder or a JSONL")
    if not rows:
        raise ValueError(
            f"{str(path)!r} holds no labelled images; give GenEval's NNNNN/metadata.jsonl and "
            'NNNNN/samples/*.png, or JSONL rows {"image", "prompt", "correct"}'
        )
    for row in rows:
        if not row.image.is_file():
            raise ValueError(f"labelled image {str(row.image)!r} is missing; take its row out")
    return rows


def _read_rows(path: Path, root: Path) -> list[Labelled]:
    lines = numbered_lines(read_text(path, "list"), path)
    return [_row(line, root, where) for where, line in lines]


def _row(line: str, root: Path, where: str) -> Labelled:
    """Ours, or a row of GenEval's results: filename, metadata (JSON in JSON), correct."""
    row = parse_json(line, where)
    try:
        image = row["image"] if "image" in row else row["filename"]
        asked = row["prompt"] if "image" in row else row["metadata"]
        correct = row["correct"]
        path = root / image
    except (KeyError, TypeError):
        raise ValueError(
            f"{where}: no labelled image; a row looks like "
            '{"image": "a.png", "prompt": {"tag": ..., "include": [...], ...}, "correct": true}'
        ) from None
    if not isinstance(correct, bool):
        raise ValueError(f"{where}: correct is {str(correct)[:80]!r}; write true or false")
    if "image" not in row and isinstance(asked, str):
        asked = parse_json(asked, f"{where}, metadata")
    return Labelled(path, _with_clauses(prompt_of(asked, where), where), correct)


def _with_clauses(prompt: Prompt, where: str) -> Prompt:
    if not prompt.include:
        raise ValueError(
            f"{where}: {prompt.text[:80]!r} is plain text, which a detector cannot check; give "
            "tag and include"
        )
    return prompt


def _read_layout(root: Path) -> list[Labelled]:
    folders = sorted(path.parent for path in root.glob("*/metadata.jsonl"))
    prompts = [_metadata(folder / "metadata.jsonl") for folder in folders]
    rows = []
    for number, (folder, prompt) in enumerate(zip(folders, prompts, strict=True)):
        images = sorted((folder / "samples").glob("*.png"))
        rows += [Labelled(image, prompt, True) for image in images]
        if other := _next_other(prompts, number):
            rows += [Labelled(image, other, False) for image in images]
    return rows


def _metadata(path: Path) -> Prompt:
    return _with_clauses(parse_prompt(read_text(path), str(path)), str(path))


def _next_other(prompts: Sequence[Prompt], number: int) -> Prompt | None:
    """The next prompt of the same tag that asks for something else, round the end."""
    prompt = prompts[number]
    for other in (*prompts[number + 1 :], *prompts[:number]):
        if other.tag == prompt.tag and other.meaning() != prompt.meaning():
            return other
    return None
