"""GenEval's folders: `NNNNN/metadata.jsonl` (one JSON object) and `NNNNN/samples/*.png`.

Source: djghosh13/geneval, README and `evaluation/evaluate_images.py`. Upstream scores what it
finds; here what is there is counted and what is missing is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sipo.common.files.writing import atomic
from sipo.common.pictures.picture import Picture, to_bytes
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.prompts.prompt_folder import METADATA, read_prompt, write_prompt

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
CLIPS = (".mp4", ".webm", ".mov", ".mkv", ".avi")
"""File names, in upper case too."""

SAMPLED = (".png", ".mp4")
"""What an evaluation of our own calls its images and clips, whatever they were."""

_FOLDER = re.compile(r"\d{5,}")
_NAMED = 5  # missing images are named up to this many


def image_name(number: int, index: int, suffix: str = ".png") -> str:
    """Image `index` of prompt `number`, relative to the evaluation's folder."""
    return f"{number:05d}/samples/{index:04d}{suffix}"


def is_clip(path: Path) -> bool:
    return path.suffix.lower() in CLIPS


def write_prompt_folders(root: Path, prompts: Sequence[Prompt]) -> None:
    for number, prompt in enumerate(prompts):
        folder = root / f"{number:05d}"
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        write_prompt(folder, prompt)


def save_image(image: Picture, path: Path) -> None:
    save_file(to_bytes(image), path)


def save_file(data: bytes, path: Path) -> None:
    """Appears whole or not at all, so that what exists need not be sampled again."""
    with atomic(path) as file:
        file.write(data)


def has_prompt_folders(root: Path) -> bool:
    return root.is_dir() and any(_FOLDER.fullmatch(path.name) for path in root.iterdir())


def read_prompt_folders(root: Path) -> list[Prompt]:
    """The prompts of a folder made elsewhere, in order; ValueError where one is missing."""
    if not root.is_dir():
        raise ValueError(f"{str(root)!r} is not a folder; give one in GenEval's layout")
    numbers = sorted(int(p.name) for p in root.iterdir() if _FOLDER.fullmatch(p.name))
    if not numbers:
        raise ValueError(
            f"{str(root)!r} has no folders 00000, 00001, ...; GenEval's layout is "
            "NNNNN/metadata.jsonl and NNNNN/samples/0000.png. Other images are given by a list: "
            "a CSV or JSONL with image and prompt"
        )
    prompts = []
    for number in range(numbers[-1] + 1):
        folder = root / f"{number:05d}"
        if not (folder / METADATA).is_file():
            raise ValueError(f"{str(folder / METADATA)!r} is missing; generate that prompt again")
        prompts.append(read_prompt(folder))
    return prompts


def find_images(
    root: Path, prompts: Sequence[Prompt], per_prompt: int | None = None
) -> list[list[Path]]:
    """Per prompt its images (or clips), in numeric order (0000.png and 00000.png alike).

    `per_prompt` each; None: as many as there are, of each prompt one or more. Raises ValueError
    that counts and names what is missing or too many, and where images and clips are mixed.
    """
    folders = [root / f"{number:05d}" / "samples" for number in range(len(prompts))]
    found = [numbered(folder) for folder in folders]
    suffix = next((p.suffix for images in found for p in images.values()), ".png")
    wanted = [per_prompt or max(images, default=0) + 1 for images in found]
    missing = [
        image_name(number, index, suffix)
        for number, images in enumerate(found)
        for index in range(wanted[number])
        if index not in images
    ]
    if missing:
        raise ValueError(
            f"{len(missing)} of {sum(wanted)} images are missing in {str(root)!r}: "
            f"{named(missing)}; generate them, or set --images-per-prompt"
        )
    for number, images in enumerate(found):
        if len(images) > wanted[number]:
            raise ValueError(
                f"{str(root / f'{number:05d}')!r} has {len(images)} images where {per_prompt} are "
                f"expected; set --images-per-prompt {len(images)} or remove what is too many"
            )
    samples = [[images[index] for index in sorted(images)] for images in found]
    require_one_kind([path for row in samples for path in row])
    return samples


def check_same_prompts(root: Path, found: Sequence[Prompt], wanted: Sequence[Prompt]) -> None:
    """ValueError naming the first folder whose prompt is not the one asked for.

    A plain text there may be a suite's prompt of that text: its images were made from no more.
    """
    for number, prompt in enumerate(wanted):
        if number >= len(found):
            raise ValueError(
                f"{str(root)!r} has {len(found)} prompts of {len(wanted)}; the first missing is "
                f"{number:05d}, {prompt.text!r}"
            )
        if found[number] != prompt and not _is_text_of(found[number], prompt):
            raise ValueError(
                f"{str(root / f'{number:05d}')!r} holds {found[number].text!r} where "
                f"{prompt.text!r} is asked for; give the prompt file the images were made from"
            )
    if len(found) > len(wanted):
        raise ValueError(
            f"{str(root)!r} has {len(found)} prompts where {len(wanted)} are asked for; give the "
            "prompt file the images were made from"
        )


def _is_text_of(found: Prompt, prompt: Prompt) -> bool:
    plain = found.tag == "text" and not found.questions
    return plain and bool(prompt.questions) and found.text == prompt.text


def numbered(folder: Path) -> dict[int, Path]:
    """The samples of one prompt by their number; {} where there is no such folder.

    Files whose names are no numbers are numbered in the order of their names. Raises ValueError
    for two files of one number.
    """
    suffixes = (*IMAGES, *CLIPS)
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    paths = [p for p in paths if p.suffix.lower() in suffixes and not p.name.startswith(".")]
    if not all(path.stem.isdecimal() for path in paths):
        return dict(enumerate(paths))
    found: dict[int, Path] = {}
    for path in paths:
        if (other := found.setdefault(int(path.stem), path)) is not path:
            raise ValueError(
                f"{str(folder)!r} has {other.name} and {path.name}, both image {int(path.stem)} of "
                "the prompt; remove one"
            )
    return found


def counts(samples: Sequence[Sequence[Path]]) -> str:
    """ "4 a prompt", or "2 to 4 a prompt" with how many prompts have fewer than the most."""
    sizes = [len(row) for row in samples]
    if min(sizes) == max(sizes):
        return f"{sizes[0]} a prompt"
    fewer = sum(size < max(sizes) for size in sizes)
    return f"{min(sizes)} to {max(sizes)} a prompt, {fewer} of {len(sizes)} have fewer than most"


def named(missing: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
    return ", ".join(missing[:_NAMED]) + more


def require_one_kind(paths: Sequence[Path]) -> None:
    """Raises ValueError for images and clips together."""
    clips = [path for path in paths if is_clip(path)]
    if clips and len(clips) < len(paths):
        image = next(path for path in paths if not is_clip(path))
        raise ValueError(
            f"{str(image)!r} is an image and {str(clips[0])!r} a clip; evaluate them apart"
        )
