"""Pictures that another engine made for prompts, N of each, which nobody has judged yet.

A list, JSON or CSV: `prompt` (a text, or a GenEval row), and `image`, one of its pictures, or in
JSON `images`, all of them; JSON may be GenEval's row itself with the pictures added, or a text with
`texts` or `questions` as in a prompt file. Edits are dropped and counted. Or GenEval's
folders: `NNNNN/metadata.jsonl` and `NNNNN/samples/*.png`. Rows of one prompt are put together.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sipo.common.files.text import read_text
from sipo.datagen.imports.lists import listed_rows, the_list
from sipo.datagen.imports.rows import CandidatesRow, Dropped, Rows, row_or_dropped
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.sources import Root, read_inside
from sipo.datagen.imports.values import UnusableError, json_of, text_of
from sipo.feedback.prompts.prompt import Prompt, parse_prompt, plain_text, prompt_of

METADATA, SAMPLES = "metadata.jsonl", "samples"
PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".mp4", ".webm", ".mov", ".mkv")
_OF_A_PROMPT = ("tag", "include", "exclude", "prompt", "texts", "questions")
_ASKS = ("include", "texts", "questions")


@dataclass
class Group:
    """A prompt, where it was first named, and the names of its pictures."""

    key: str
    prompt: Prompt
    names: list[object] = field(default_factory=list)


def files(settings: ImportSettings) -> list[Path]:
    return sorted(Path(settings.source).glob(f"*/{METADATA}")) or the_list(settings.source)


def most(settings: ImportSettings, files: list[Path]) -> int:
    """As many as the first prompt has."""
    groups = (group for group in _groups(settings, files) if isinstance(group, Group))
    return len(next(groups, Group("", plain_text("-"))).names)


def rows(settings: ImportSettings, files: list[Path]) -> Rows:
    root = Root(_root(settings, files), settings.follow_links)
    assert settings.candidates is not None, "counted before"
    for group in _groups(settings, files):
        if isinstance(group, Dropped):
            yield group
        else:
            yield row_or_dropped(group.key, partial(_row, group, root, settings.candidates))


def _row(group: Group, root: Root, count: int) -> CandidatesRow:
    if len(group.names) < count:
        raise UnusableError("fewer pictures than --candidates", f"{len(group.names)} of {count}")
    pictures = tuple(read_inside(root, name) for name in group.names[:count])
    return CandidatesRow(group.key, group.prompt, pictures)


def _root(settings: ImportSettings, files: list[Path]) -> Path:
    return settings.images or (Path(settings.source) if _is_layout(files) else files[0].parent)


def _is_layout(files: list[Path]) -> bool:
    return files[0].name == METADATA


def _groups(settings: ImportSettings, files: list[Path]) -> Iterator[Group | Dropped]:
    if _is_layout(files):
        for path in files:
            yield _of_folder(Path(settings.source), path)
        return
    together: dict[Prompt, Group] = {}
    for key, row in listed_rows(files[0], ("prompt",), ("image",)):
        try:
            prompt, names = _listed(row)
        except UnusableError as error:
            yield Dropped(key, str(error), error.about)
            continue
        together.setdefault(prompt, Group(key, prompt)).names += names
    yield from together.values()


def _of_folder(source: Path, path: Path) -> Group | Dropped:
    key = str(path.relative_to(source))
    try:
        prompt = parse_prompt(read_text(path, "prompt"), key)
    except ValueError as error:
        return Dropped(key, "no prompt of GenEval's", str(error))
    pictures = sorted((path.parent / SAMPLES).iterdir()) if (path.parent / SAMPLES).is_dir() else []
    names = [str(p.relative_to(source)) for p in pictures if p.suffix.lower() in PICTURES]
    return Group(key, prompt, [*names])


def _listed(row: Mapping[str, object] | str) -> tuple[Prompt, list[object]]:
    if isinstance(row, str):
        raise UnusableError(row)
    names = row.get("images", [row.get("image")])
    if not isinstance(names, list):
        raise UnusableError("images is no list of paths")
    return _prompt(row), names


def _prompt(row: Mapping[str, object]) -> Prompt:
    if row.get("before") is not None:
        raise UnusableError("an edit (before), whose picture is not imported")
    if any(row.get(name) is not None for name in _ASKS):
        said: object = {name: row[name] for name in _OF_A_PROMPT if row.get(name) is not None}
    else:
        said = row.get("prompt")
        if isinstance(said, str) and said.lstrip().startswith("{"):
            try:
                said = json_of(said)
            except ValueError:
                raise UnusableError("prompt is no JSON") from None
    if not isinstance(said, dict):
        return plain_text(text_of(said))
    try:
        return prompt_of(said, "prompt")
    except ValueError as error:
        raise UnusableError("no prompt of GenEval's", str(error)) from None
