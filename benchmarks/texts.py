"""How well `--judge ocr` reads: pictures with text drawn by Pillow, 40 of them, and their wrong
twins, which show the text with one letter changed.

python benchmarks/texts.py [--json FILE]
"""

from __future__ import annotations

import argparse
import colorsys
import json
import time
from itertools import cycle
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sipo.feedback.prompts.prompt import Prompt, prompt_of
from sipo.feedback.registry import load_judge

FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "DejaVuSansMono")
FONTS += ("STIXGeneral", "STIXGeneralBol", "cmtt10")
"""Files of matplotlib's."""
WORDS = ("OPEN", "Happy Birthday", "No Parking", "Coffee 24h", "SALE -50%", "EXIT", "Good Morning")
WORDS += ("Museum of Light", "Keep calm", "Route 66", "quiet please", "Bakery", "HELLO WORLD")
TEXT_PX = (16, 24, 36, 56, 80)
SIDES = (256, 512, 768)
GROUNDS = ("plain", "shaded", "noisy", "sloping")


def picture(number: int, text: str) -> Image.Image:
    """Its font, size, colours and ground by its number; the size as large as fits."""
    draw = np.random.default_rng(number)
    side = SIDES[number % len(SIDES)]
    hue, light = draw.random(), number % 2
    ground, ink = (
        tuple(round(255 * v) for v in colorsys.hls_to_rgb(h, level, 0.6))
        for h, level in ((hue, 0.8 if light else 0.2), (hue + 0.5, 0.2 if light else 0.8))
    )
    image = Image.new("RGB", (side, side), ground)
    font = _font(FONTS[number % len(FONTS)], text, TEXT_PX[number % len(TEXT_PX)], side)
    kind = GROUNDS[number // 2 % len(GROUNDS)]
    if kind == "shaded":
        slope = np.linspace(0.7, 1.3, side)[None, :, None]
        image = Image.fromarray((np.asarray(image) * slope).clip(0, 255).astype(np.uint8))
    ImageDraw.Draw(image).text((side / 2, side / 2), text, fill=ink, font=font, anchor="mm")
    if kind == "noisy":
        noise = draw.normal(0, 20, (side, side, 3))
        image = Image.fromarray((np.asarray(image) + noise).clip(0, 255).astype(np.uint8))
    return (
        image.rotate(8, Image.Resampling.BICUBIC, fillcolor=ground) if kind == "sloping" else image
    )


def _font(name: str, text: str, size_px: int, side: int) -> ImageFont.FreeTypeFont:
    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf"
    font = ImageFont.truetype(str(file), size_px)
    wide = font.getlength(text)
    return (
        font
        if wide < 0.9 * side
        else ImageFont.truetype(str(file), int(size_px * 0.9 * side / wide))
    )


def misspelt(text: str, number: int) -> str:
    """One letter of it replaced by the next of the alphabet."""
    letters = [place for place, one in enumerate(text) if one.isalpha()]
    place = letters[number % len(letters)]
    other = chr(ord(text[place]) + (1 if text[place] not in "zZ" else -1))
    return text[:place] + other + text[place + 1 :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--pictures", type=int, default=40)
    asked = parser.parse_args()
    judge = load_judge("ocr", None, ())
    rows = []
    for number, text in zip(range(asked.pictures), cycle(WORDS), strict=False):
        prompt: Prompt = prompt_of({"prompt": "a sign", "texts": [text]}, "")
        for shown in (text, misspelt(text, number)):
            image = picture(number, shown)
            start, cpu = time.perf_counter(), time.process_time()
            verdict = judge.judge([image], [prompt])[0]
            took = (time.perf_counter() - start, time.process_time() - cpu)
            rows.append(
                {"text": text, "shown": shown, "side": image.width, "ms": 1000 * took[0]}
                | {"cpu_ms": 1000 * took[1], "score": verdict.score, "correct": verdict.correct}
                | {"read": verdict.evidence["read"], "px": TEXT_PX[number % len(TEXT_PX)]}
                | {"font": FONTS[number % len(FONTS)]}
                | {"ground": GROUNDS[number // 2 % len(GROUNDS)]}
            )
    right = [row for row in rows if row["shown"] == row["text"]]
    wrong = [row for row in rows if row["shown"] != row["text"]]
    print(json.dumps(judge.describe()))
    print(f"right texts called correct: {sum(row['correct'] for row in right)} of {len(right)}")
    print(
        f"one letter wrong, called correct: {sum(row['correct'] for row in wrong)} of {len(wrong)}"
    )
    for name, some in (("right", right), ("wrong", wrong)):
        print(f"mean score {name}: {np.mean([row['score'] for row in some]):.3f}")
    for side in SIDES:
        some = [row for row in rows if row["side"] == side]
        print(
            f"{side} px: {np.median([row['ms'] for row in some]):.0f} ms an image, "
            f"{np.median([row['cpu_ms'] for row in some]):.0f} of CPU"
        )
    for row in right:
        if not row["correct"]:
            print({k: row[k] for k in ("text", "read", "font", "px", "ground", "side")})
    for row in wrong:
        if row["correct"]:
            print("taken for right:", {k: row[k] for k in ("text", "shown", "read", "font")})
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
