"""Images of known content: which prompt each was made for, and whether it shows it.

Two forms. JSONL rows {"image", "prompt": {a GenEval row}, "correct"}, paths relative to the file.
GenEval's folders, NNNNN/metadata.jsonl and NNNNN/samples/*.png: with a results.jsonl the labels are
its; without, every image is taken to show its own prompt and not the next of the same tag.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import numbered_lines, read_text
from sipo.common.pictures.picture import read_image
from sipo.feedback.prompts.before import with_picture
from sipo.feedback.prompts.prompt import Prompt, prompt_of
from sipo.feedback.prompts.prompt_folder import METADATA, read_prompt

if TYPE_CHECKING:
    from PIL import Image

RESULTS = "results.jsonl"


@dataclass(frozen=True)
class Labelled:
    image: Path
    prompt: Prompt
    correct: bool
    where: str = field(default="", compare=False)  # its prompt stands


def read_labelled(path: str | Path) -> list[Labelled]:
    """Raises ValueError for a path that is neither form, a bad row or a missing image."""
    rows = _read(Path(path), by_people=False)
    for row in rows:
        if not row.prompt.include:
            raise ValueError(
                f"{row.where}: {row.prompt.text[:80]!r} is plain text, which a detector cannot "
                "check; give tag and include"
            )
    return _with_files(rows)


def read_labelled_by(path: str | Path, people: Mapping[str, bool | None]) -> list[Labelled]:
    """The same images, each with its own prompt and what people say of it, by its path in the
    folder, or as the JSONL has it. What nobody says anything of is left out, and so is what they do
    not agree on. Raises ValueError for a name of theirs that is none."""
    root = Path(path) if Path(path).is_dir() else Path(path).parent
    rows = {row.image: row for row in _with_files(_read(Path(path), by_people=True))}
    said = {root / name: right for name, right in people.items()}
    if strange := [name for name in said if name not in rows]:
        raise ValueError(
            f"--people names {str(strange[0])!r}, which is none of the {len(rows)} images of "
            f"{str(path)!r} ({len(strange)} such names); give their paths as they are there"
        )
    return [replace(rows[name], correct=right) for name, right in said.items() if right is not None]


def open_image(path: Path) -> Image.Image:
    """Raises ValueError that names a file which is no image."""
    try:
        return read_image(path)
    except ValueError as error:
        raise ValueError(f"{str(path)!r}: {error}; take it out") from None


def _read(path: Path, by_people: bool) -> list[Labelled]:
    if path.is_file():
        rows = _read_rows(path, path.parent, by_people)
    elif (path / RESULTS).is_file():
        rows = _read_rows(path / RESULTS, path, by_people)
    elif path.is_dir():
        rows = _read_layout(path, by_people)
    else:
        raise ValueError(f"labelled images {str(path)!r} are not there; give a folder or a JSONL")
    if not rows:
        raise ValueError(
            f"{str(path)!r} holds no labelled images; give GenEval's NNNNN/metadata.jsonl and "
            'NNNNN/samples/*.png, or JSONL rows {"image", "prompt", "correct"}'
        )
    return rows


def _with_files(rows: list[Labelled]) -> list[Labelled]:
    for row in rows:
        if not row.image.is_file():
            raise ValueError(f"labelled image {str(row.image)!r} is missing; take its row out")
    return rows


def _read_rows(path: Path, root: Path, by_people: bool) -> list[Labelled]:
    lines = numbered_lines(read_text(path, "list"), path)
    return [_row(line, root, where, by_people) for where, line in lines]


def _row(line: str, root: Path, where: str, by_people: bool) -> Labelled:
    """Ours, or a row of GenEval's results: filename, metadata (JSON in JSON), correct, which is not
    asked for where people say it."""
    row = parse_json(line, where)
    try:
        image = row["image"] if "image" in row else row["filename"]
        asked = row["prompt"] if "image" in row else row["metadata"]
        correct = False if by_people else row["correct"]
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
    prompt = prompt_of(with_picture(asked, where, root), where)
    if "filename" in row and prompt.before and not prompt.before.data:  # it lies with the images
        prompt = read_prompt(path.parent.parent)
    return Labelled(path, prompt, correct, where)


def _read_layout(root: Path, by_people: bool) -> list[Labelled]:
    """By people every image has its own prompt alone."""
    folders = sorted(path.parent for path in root.glob(f"*/{METADATA}"))
    where = [str(folder / METADATA) for folder in folders]
    prompts = [read_prompt(folder) for folder in folders]
    rows = []
    for number, (folder, prompt) in enumerate(zip(folders, prompts, strict=True)):
        images = sorted((folder / "samples").glob("*.png"))
        rows += [Labelled(image, prompt, True, where[number]) for image in images]
        if not by_people and (other := _next_other(prompts, number)):
            rows += [Labelled(image, other, False, where[number]) for image in images]
    return rows


def _next_other(prompts: Sequence[Prompt], number: int) -> Prompt | None:
    """The next prompt of the same tag that asks for something else, round the end."""
    prompt = prompts[number]
    for other in (*prompts[number + 1 :], *prompts[:number]):
        if other.tag == prompt.tag and other.meaning() != prompt.meaning():
            return other
    return None
