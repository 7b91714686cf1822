"""Draw a sheet of scenes, one row a tag: `python -m sipo.mini.scene_sheet OUT.png`."""

from __future__ import annotations

import sys

import numpy as np
from PIL import Image

from sipo.feedback.prompts.mini_prompts import random_prompt
from sipo.feedback.prompts.prompt import TAGS
from sipo.mini.world import depict, render

COLUMNS, ZOOM = 12, 2


def sheet(seed: int = 0) -> Image.Image:
    rng = np.random.default_rng(seed)
    rows = []
    for tag in TAGS:
        prompts = [random_prompt(tag, rng) for _ in range(COLUMNS)]
        rows.append(np.concatenate([render(depict(p), p, rng).image for p in prompts], 1))
    drawn = Image.fromarray(np.concatenate(rows))
    return drawn.resize((drawn.width * ZOOM, drawn.height * ZOOM), Image.Resampling.LANCZOS)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m sipo.mini.scene_sheet OUT.png")
    sheet().save(sys.argv[1], optimize=True)
