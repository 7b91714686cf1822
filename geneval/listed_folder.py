"""Images that a list names, or a suite's own layout, put into GenEval's: linked, or cut out of a
grid."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from sipo.common.files.text import read_json
from sipo.common.files.writing import write_json
from sipo.feedback.listed_images import read_listed
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.layout import image_name, named, save_image, write_prompt_folders
from sipo.geneval.suite_images import cells

SOURCES = "sources.json"
"""Beside the folders: image name -> the file it is."""


def listed_images(path: Path, wanted: Sequence[Prompt]) -> tuple[list[Prompt], list[list[Path]]]:
    """Prompts, and of each its images in the list's order.

    Of `wanted` in their order, each of which must have an image; without any in the list's order.
    Raises ValueError for what is no such list, and names the prompts that it lacks.
    """
    by_prompt: dict[Prompt, list[Path]] = {prompt: [] for prompt in wanted}
    for row in read_listed(path, wanted):
        if wanted and row.prompt not in by_prompt:
            raise ValueError(
                f"{row.where}: {row.prompt.text!r} is none of the {len(wanted)} prompts asked for; "
                "give the --suite or --prompts that the images were made from, or leave both out"
            )
        by_prompt.setdefault(row.prompt, []).append(row.image)
    if missing := [repr(prompt.text) for prompt, images in by_prompt.items() if not images]:
        raise ValueError(
            f"{str(path)!r} has no image of {len(missing)} of {len(wanted)} prompts: "
            f"{named(missing)}; generate them, or give the prompts that there are"
        )
    return list(by_prompt), list(by_prompt.values())


def lay_out(
    root: Path,
    prompts: Sequence[Prompt],
    samples: Sequence[Sequence[Path]],
    in_grids: bool = False,
) -> list[list[Path]]:
    """Folders under `root` whose images are `samples`; those of an earlier list go.

    `in_grids`: the images of a prompt are the cells of one file.

    Raises ValueError, and touches nothing, where there are images that no list put there.
    """
    names = [
        [image_name(n, i, ".png" if in_grids else p.suffix.lower()) for i, p in enumerate(images)]
        for n, images in enumerate(samples)
    ]
    sources = {
        name: image
        for row, images in zip(names, samples, strict=True)
        for name, image in zip(row, images, strict=True)
    }
    earlier = read_json(root / SOURCES) if (root / SOURCES).is_file() else {}
    present = {file.relative_to(root).as_posix() for file in root.glob("*/samples/*")}
    if foreign := sorted(present - earlier.keys()):
        raise ValueError(f"{str(root / foreign[0])!r} is of no list; give another --out")
    if inside := [p for p in sources.values() if p.resolve().is_relative_to(root.resolve())]:
        raise ValueError(f"{str(inside[0])!r} lies in --out {str(root)!r}; give another --out")
    write_prompt_folders(root, prompts)
    write_json(root / SOURCES, earlier | {name: str(p) for name, p in sources.items()}, indent=2)
    for name in present - sources.keys():
        (root / name).unlink()
    for row, images in zip(names, samples, strict=True):
        if in_grids:
            for name, cell in zip(row, cells(images[0]), strict=True):
                save_image(cell, root / name)
        else:
            for name, image in zip(row, images, strict=True):
                link(image, root / name)
    return [[root / name for name in row] for row in names]


def link(file: Path, name: Path) -> None:
    """A hard link where the disk has them, a copy elsewhere."""
    with suppress(FileNotFoundError):
        name.unlink()
    try:
        os.link(file.resolve(), name)
    except OSError:  # another disk, or one that knows no links
        shutil.copyfile(file, name)
