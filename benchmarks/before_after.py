"""The same prompts and seeds in several evaluations, a picture beside a picture.

    python benchmarks/before_after.py runs/s2/round-{0,1,6}/test \\
        --names base "one round" "six rounds" --out docs/before-after.png

Nobody chooses: of each tag the first prompts of the suite, of each the first image. A green frame
is the evaluator's "right", a red one its "wrong"; both are written below.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from sipo.geneval.results import ImageResult, read_rows

SIDE, GAP, COLUMNS = 112, 8, 3
HEAD, FOOT = 22, 18
RIGHT, WRONG, INK = "#1a7f37", "#cf222e", "#222222"
FIRST = "0000"


def first_images(evaluation: Path, a_tag: int) -> dict[str, ImageResult]:
    """By prompt, in the suite's order: of each tag so many prompts, of a prompt its first image."""
    found: dict[str, ImageResult] = {}
    counts: dict[str, int] = {}
    for row in sorted(read_rows(evaluation / "results.jsonl"), key=lambda row: row.filename):
        if Path(row.filename).stem == FIRST and counts.get(row.tag, 0) < a_tag:
            counts[row.tag] = counts.get(row.tag, 0) + 1
            found[row.prompt] = row
    return found


def sheet(evaluations: Mapping[str, Path], a_tag: int) -> Image.Image:
    rows = {name: first_images(path, a_tag) for name, path in evaluations.items()}
    prompts = list(next(iter(rows.values())))
    width = len(rows) * SIDE + GAP * 3
    height = HEAD + SIDE + FOOT + GAP
    lines = -(-len(prompts) // COLUMNS)
    page = Image.new("RGB", (COLUMNS * width, lines * height + GAP), "white")
    for number, prompt in enumerate(prompts):
        corner = (number % COLUMNS * width + GAP, number // COLUMNS * height + GAP)
        shown = [(name, evaluations[name], rows[name][prompt]) for name in rows]
        _draw_prompt(page, corner, prompt, shown)
    return page


def _draw_prompt(
    page: Image.Image,
    corner: tuple[int, int],
    prompt: str,
    shown: Sequence[tuple[str, Path, ImageResult]],
) -> None:
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(14)
    left, top = corner
    draw.text((left, top), prompt.removeprefix("a photo of "), INK, font)
    for place, (name, folder, row) in enumerate(shown):
        x, y = left + place * SIDE, top + HEAD
        with Image.open(folder / row.filename) as image:
            large = image.convert("RGB").resize((SIDE - 10, SIDE - 10), Image.Resampling.LANCZOS)
        color = RIGHT if row.correct else WRONG
        draw.rectangle((x, y, x + SIDE - 5, y + SIDE - 5), color)
        page.paste(large, (x + 3, y + 3))
        word = "right" if row.correct else "wrong"
        draw.text((x, y + SIDE - 2), f"{name}: {word}", color, ImageFont.load_default(12))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("evaluations", nargs="+", type=Path)
    parser.add_argument("--names", nargs="+", required=True)
    parser.add_argument("--a-tag", type=int, default=2, help="prompts of each tag")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    drawn = sheet(dict(zip(asked.names, asked.evaluations, strict=True)), asked.a_tag)
    drawn.save(asked.out, optimize=True)


if __name__ == "__main__":
    main()
