"""The sheet of pictures that a validation leaves: `validation/step-N.png`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from sipo.common.files.writing import atomic
from sipo.train.monitor.log_rows import Row

SHOWN = 6  # pictures a row of the sheet
ON_SHEET = SHOWN * SHOWN  # as many as a person looks at
FOLDER = "validation"


def sheet_path(out: Path, step: int) -> Path:
    return out / FOLDER / f"step-{step}.png"


def sheet_of(out: Path, row: Row) -> Path | None:
    """The sheet that belongs to a row of the log."""
    if "validation" not in row and "validation_failed" not in row:
        return None
    path = sheet_path(out, row["step"])
    return path if path.is_file() else None


def write_sheet(images: Sequence[Image.Image], path: Path) -> None:
    """All images in rows."""
    width, height = images[0].size
    rows = -(-len(images) // SHOWN)
    sheet = Image.new("RGB", (SHOWN * width, rows * height), "white")
    for place, image in enumerate(images):
        row, column = divmod(place, SHOWN)
        sheet.paste(image, (column * width, row * height))
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as file:
        sheet.save(file, "png")


def cut_sheet(
    sheet: Image.Image, prompts: Sequence[str], images_each: int
) -> list[tuple[str, Image.Image]]:
    """The first picture of each prompt on it, with the prompt."""
    count = min(ON_SHEET, len(prompts) * images_each)
    width, height = sheet.width // SHOWN, sheet.height // max(1, -(-count // SHOWN))
    found = []
    for place in range(0, count, images_each):
        row, column = divmod(place, SHOWN)
        box = (column * width, row * height, (column + 1) * width, (row + 1) * height)
        found.append((prompts[place // images_each], sheet.crop(box)))
    return found
