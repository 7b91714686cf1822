"""Images as suites lay them out, found by the ids of their prompts.

    IMAGES/<id>_<n>.png              UniGenBench++ (<index>_<0..3>.png), and any suite with ids
    IMAGES/<class>/**/<id>.webp      OneIG-Bench: one file a prompt, four images in a 2 x 2 grid

Assumed of the second: a folder of the class's name, as Q_D has it, stands somewhere above the file.
Images of a grid are numbered row by row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from sipo.common.files.urls import is_url
from sipo.common.pictures.picture import read_image
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.layout import IMAGES, has_prompt_folders, named

GRID = 2  # images a side
_OF_GRIDS = "oneig"
_NUMBERED = re.compile(r"(.+)_(\d+)")


@dataclass(frozen=True)
class SuiteImages:
    """Of each prompt its images; with `in_grids` the same file GRID x GRID times, one a cell."""

    samples: list[list[Path]]
    in_grids: bool


def find_suite_images(root: Path, wanted: Sequence[Prompt]) -> SuiteImages | None:
    """None for a folder in GenEval's layout, and where prompts have no ids.

    Raises ValueError that counts and names the prompts without images.
    """
    if not wanted or any(p.id is None for p in wanted) or is_url(root) or has_prompt_folders(root):
        return None
    in_grids = all(prompt.suite == _OF_GRIDS for prompt in wanted)
    samples = list(_grids(root, wanted) if in_grids else _numbered(root, wanted))
    if missing := [str(p.id) for p, row in zip(wanted, samples, strict=True) if not row]:
        look = "<class>/.../<id>.webp" if in_grids else "<id>_0.png, <id>_1.png, ..."
        raise ValueError(
            f"{str(root)!r} has no images of {len(missing)} of {len(wanted)} prompts: "
            f"{named(missing)}; they are looked for as {look}, or give a list: a CSV with image "
            "and prompt"
        )
    return SuiteImages(samples, in_grids)


def cells(path: Path) -> list[Image.Image]:
    """The images of a grid, row by row. Raises ValueError for sizes that do not part evenly."""
    grid = read_image(path)
    width, height = grid.width // GRID, grid.height // GRID
    if (width * GRID, height * GRID) != grid.size or not width or not height:
        raise ValueError(
            f"{str(path)!r} is {grid.width}x{grid.height}, which is no grid of {GRID} x {GRID} "
            "images of one size"
        )
    corners = [(x * width, y * height) for y in range(GRID) for x in range(GRID)]
    return [grid.crop((x, y, x + width, y + height)) for x, y in corners]


def _numbered(root: Path, wanted: Sequence[Prompt]) -> Iterator[list[Path]]:
    """By number, from 0 without a gap."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        match = _NUMBERED.fullmatch(path.stem)
        if match and path.suffix.lower() in IMAGES and not path.name.startswith("."):
            rows = found.setdefault(match[1], {})
            if (other := rows.setdefault(int(match[2]), path)) is not path:
                raise ValueError(f"{other.name!r} and {path.name!r} in {str(root)!r} are one image")
    for prompt in wanted:
        rows = found.get(str(prompt.id), {})
        if gaps := [f"{prompt.id}_{n}" for n in range(max(rows, default=-1)) if n not in rows]:
            raise ValueError(f"{str(root)!r} has no {named(gaps)}; generate what is missing")
        yield [rows[number] for number in sorted(rows)]


def _grids(root: Path, wanted: Sequence[Prompt]) -> Iterator[list[Path]]:
    files: dict[tuple[str, str], list[Path]] = {}
    for path in sorted(root.rglob("*.webp")):
        for folder in set(path.relative_to(root).parts[:-1]):
            files.setdefault((folder, path.stem), []).append(path)
    for prompt in wanted:
        group = str(prompt.group)
        found = files.get((group, str(prompt.id).removeprefix(f"{group}-")), [])
        if len(found) > 1:
            raise ValueError(
                f"{str(found[0])!r} and {str(found[1])!r} are both of prompt {prompt.id!r}; give "
                "the folder of one model"
            )
        yield found * GRID**2
