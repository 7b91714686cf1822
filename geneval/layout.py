"""GenEval's folders: `NNNNN/metadata.jsonl` (one JSON object) and `NNNNN/samples/*.png`.

Source: djghosh13/geneval, README and `evaluation/evaluate_images.py`. Upstream scores what it
finds; here prompts x images is enforced and what is missing is named.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from sipo.feedback.picture import Picture, to_bytes
from sipo.feedback.prompt import Prompt, parse_prompt

_FOLDER = re.compile(r"\d{5,}")
_NAMED = 5  # missing images are named up to this many


def image_name(number: int, index: int, suffix: str = ".png") -> str:
    """Image `index` of prompt `number`, relative to the evaluation's folder."""
    return f"{number:05d}/samples/{index:04d}{suffix}"


def write_prompt_folders(root: Path, prompts: Sequence[Prompt]) -> None:
    for number, prompt in enumerate(prompts):
        folder = root / f"{number:05d}"
        (folder / "samples").mkdir(parents=True, exist_ok=True)
        write_text(folder / "metadata.jsonl", prompt.to_json() + "\n")


def save_image(image: Picture, path: Path) -> None:
    """Appears whole or not at all, so that what exists need not be sampled again."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_bytes(to_bytes(image))
    temporary.replace(path)


def write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)


def read_prompt_folders(root: Path) -> list[Prompt]:
    """The prompts of a folder made elsewhere, in order; ValueError where one is missing."""
    if not root.is_dir():
        raise ValueError(f"{str(root)!r} is not a folder; give one in GenEval's layout")
    numbers = sorted(int(p.name) for p in root.iterdir() if _FOLDER.fullmatch(p.name))
    if not numbers:
        raise ValueError(
            f"{str(root)!r} has no folders 00000, 00001, ...; GenEval's layout is "
            "NNNNN/metadata.jsonl and NNNNN/samples/0000.png"
        )
    prompts = []
    for number in range(numbers[-1] + 1):
        path = root / f"{number:05d}" / "metadata.jsonl"
        if not path.is_file():
            raise ValueError(f"{str(path)!r} is missing; generate that prompt again")
        prompts.append(parse_prompt(path.read_text(encoding="utf-8"), str(path)))
    return prompts


def find_images(
    root: Path, prompts: Sequence[Prompt], per_prompt: int, suffix: str = ".png"
) -> list[list[Path]]:
    """Per prompt its images, `per_prompt` each, in numeric order (0000.png and 00000.png alike).

    `suffix` ".mp4" finds clips instead. Raises ValueError that counts and names what is missing
    or too many.
    """
    found = [numbered(root / f"{number:05d}" / "samples", suffix) for number in range(len(prompts))]
    missing = [
        image_name(number, index, suffix)
        for number, images in enumerate(found)
        for index in range(per_prompt)
        if index not in images
    ]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise ValueError(
            f"{len(missing)} of {len(prompts) * per_prompt} images are missing in {str(root)!r}: "
            f"{', '.join(missing[:_NAMED])}{more}; generate them, or set --images-per-prompt"
        )
    for number, images in enumerate(found):
        if len(images) > per_prompt:
            raise ValueError(
                f"{str(root / f'{number:05d}')!r} has {len(images)} images where {per_prompt} are "
                f"expected; set --images-per-prompt {len(images)} or remove what is too many"
            )
    return [[images[index] for index in range(per_prompt)] for images in found]


def check_same_prompts(root: Path, found: Sequence[Prompt], wanted: Sequence[Prompt]) -> None:
    """ValueError naming the first folder whose prompt is not the one asked for."""
    for number, prompt in enumerate(wanted):
        if number >= len(found):
            raise ValueError(
                f"{str(root)!r} has {len(found)} prompts of {len(wanted)}; the first missing is "
                f"{number:05d}, {prompt.text!r}"
            )
        if found[number] != prompt:
            raise ValueError(
                f"{str(root / f'{number:05d}')!r} holds {found[number].text!r} where "
                f"{prompt.text!r} is asked for; give the prompt file the images were made from"
            )
    if len(found) > len(wanted):
        raise ValueError(
            f"{str(root)!r} has {len(found)} prompts where {len(wanted)} are asked for; give the "
            "prompt file the images were made from"
        )


def suffix_of(root: Path) -> str:
    """ ".mp4" where the first prompt's samples are clips, else ".png"."""
    return ".mp4" if numbered(root / "00000" / "samples", ".mp4") else ".png"


def numbered(folder: Path, suffix: str = ".png") -> dict[int, Path]:
    """The samples of one prompt by their number; {} where there is no such folder."""
    return {int(p.stem): p for p in sorted(folder.glob(f"*{suffix}")) if p.stem.isdecimal()}
