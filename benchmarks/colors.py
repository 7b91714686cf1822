"""How often the colour that is read off a box is the one a person would say.

    python benchmarks/colors.py [--pictures FOLDER]... [--misses] [--json]

Three sets, each in a half that the rule was tuned on and one that it was not:

- emoji: scenes of mini.world, boxes a little off as a detector's are; a quarter of them blurred,
  with grain, enlarged eightfold each; and things that overlap;
- photographs: objects boxed and named by hand (colors.json); the photographs themselves lie in
  packages (scikit-image, scikit-learn, gradio, matplotlib, ultralytics; Debian's opencv-doc; npm's
  tracking), which are looked for beside Python's, in /usr/share and in each --pictures;
- pasted: cut-out photographs (Debian's tuxpaint-stamps-default) on photographs, three places each:
  made by us, so their surroundings are real and their edges are not.

Halves are by photograph and by cut-out; intervals (95 %) are bootstrapped over those, not over
boxes. What is not on this machine is counted as missing. The last line is what a box costs.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from sipo.feedback.detectors.color import PixelColor
from sipo.feedback.prompts.mini_prompts import CLASSES, COLORS
from sipo.feedback.rule.boxes import Box, Xyxy
from sipo.mini.train.labelled_scenes import labelled_scenes
from sipo.mini.world import Thing, sprite

LABELS = Path(__file__).with_name("colors.json")
HALVES = ("tuning", "held-out")
EMOJI = 300  # scenes of a half
PASTES = 3  # of a cut-out
JITTER = 0.06  # of a side, by which a pasted object's box may be off


@dataclass(frozen=True)
class Labelled:
    """One box: `group` is the photograph, cut-out or scene that it came from."""

    kind: str
    half: str
    group: str
    image: Image.Image
    box: Box
    color: str


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=Path, action="append", default=[])
    parser.add_argument("--misses", action="store_true", help="Also print what was named wrongly.")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    roots = [*options.pictures, *map(Path, sys.path), Path("/usr/share")]
    missing: Counter[str] = Counter()
    labels = json.loads(LABELS.read_text(encoding="utf-8"))
    boxes = [*emoji(), *photographs(labels, roots, missing), *pasted(labels, roots, missing)]
    namer = PixelColor()
    named = [(one, namer.name(one.image, one.box)) for one in boxes]
    found = {
        f"{kind}, {half}": table([(o, n) for o, n in named if (o.kind, o.half) == (kind, half)])
        for kind, half in itertools.product(("emoji", "photographs", "pasted"), HALVES)
    }
    result = {"sets": found, "missing": dict(missing), "ms_of_512_px": round(milliseconds(), 2)}
    if options.misses:
        for one, name in named:
            if name != one.color and one.kind != "emoji":
                print(f"{one.kind:12} {one.half:9} {one.group} {one.box}: {name}, not {one.color}")
    print(json.dumps(result, indent=1) if options.json else as_text(result))


def table(named: list[tuple[Labelled, str | None]]) -> dict[str, Any]:
    """Share named rightly with its interval, share unnamed, and per colour "right of all"."""
    if not named:
        return {"boxes": 0}
    right = [name == one.color for one, name in named]
    groups: dict[str, list[bool]] = {}
    colors: dict[str, list[bool]] = {}
    for (one, _), hit in zip(named, right, strict=True):
        groups.setdefault(one.group, []).append(hit)
        colors.setdefault(one.color, []).append(hit)
    return {
        "boxes": len(named),
        "groups": len(groups),
        "right": round(float(np.mean(right)), 4),
        "interval": interval(list(groups.values())),
        "unknown": round(float(np.mean([name is None for _, name in named])), 4),
        "by_color": {c: f"{sum(hits)} of {len(hits)}" for c, hits in sorted(colors.items())},
    }


def interval(groups: list[list[bool]], draws: int = 4000) -> tuple[float, float]:
    """95 % of the mean over boxes when whole groups are drawn again."""
    rng = np.random.default_rng(0)
    hits, sizes = np.array([sum(g) for g in groups]), np.array([len(g) for g in groups])
    picked = rng.integers(0, len(groups), (draws, len(groups)))
    low, high = np.quantile(hits[picked].sum(1) / sizes[picked].sum(1), [0.025, 0.975])
    return round(float(low), 3), round(float(high), 3)


def as_text(result: dict[str, Any]) -> str:
    lines = []
    for name, row in result["sets"].items():
        if not row["boxes"]:
            lines.append(f"{name:22} no box")
            continue
        low, high = row["interval"]
        lines.append(
            f"{name:22} right {row['right']:.3f} [{low:.3f}, {high:.3f}]  unknown "
            f"{row['unknown']:.3f}  of {row['boxes']} boxes in {row['groups']} groups"
        )
        lines.append("    " + ", ".join(f"{c} {n}" for c, n in row["by_color"].items()))
    lines.append(f"missing: {result['missing'] or 'nothing'}")
    lines.append(f"a 512 x 512 box: {result['ms_of_512_px']} ms")
    return "\n".join(lines)


def emoji() -> Iterator[Labelled]:
    for half, seed in zip(HALVES, (11, 12), strict=True):
        rng = np.random.default_rng(seed)
        for number, scene in enumerate(itertools.islice(labelled_scenes(seed), EMOJI)):
            image, times = damaged(Image.fromarray(scene.image), rng)
            for box in scene.boxes:
                if box.color:
                    near = moved(box, 1.5, rng, times)
                    yield Labelled("emoji", half, f"{seed}-{number}", image, near, box.color)
        for number in range(EMOJI // 3):
            yield from overlapping(half, f"{seed}-over-{number}", rng)


def damaged(image: Image.Image, rng: np.random.Generator) -> tuple[Image.Image, int]:
    """A quarter each: as it is, blurred, with grain, enlarged. And how many times enlarged."""
    match int(rng.integers(4)):
        case 1:
            return image.filter(ImageFilter.GaussianBlur(0.7)), 1
        case 2:
            pixels = np.asarray(image, np.float32) + rng.normal(0, 6, (*image.size, 3))
            return Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), 1
        case 3:
            return image.resize((512, 512), Image.Resampling.BICUBIC), 8
        case _:
            return image, 1


def overlapping(half: str, group: str, rng: np.random.Generator) -> Iterator[Labelled]:
    """Two things whose boxes share up to a third of a side; the one behind keeps its colour."""
    tints = rng.choice(COLORS, 2, replace=False)
    things = [Thing(str(rng.choice(CLASSES)), str(color)) for color in tints]
    canvas = np.full((64, 64, 3), rng.integers(190, 256, 3), np.float32)
    size = int(rng.integers(20, 32))
    left, boxes = int(rng.integers(0, 8)), []
    for thing in things:
        rgb, alpha = sprite(thing, size)
        height, width = alpha.shape[:2]
        left, top = min(left, 64 - width), int(rng.integers(10, 64 - 32))
        patch = canvas[top : top + height, left : left + width]
        patch += alpha * (rgb - patch)
        boxes.append(
            Box(thing.class_name, 1.0, (left, top, left + width, top + height), thing.color)
        )
        left += round(width * float(rng.uniform(0.67, 1)))
    image = Image.fromarray(np.rint(canvas).clip(0, 255).astype(np.uint8))
    for box in boxes:
        assert box.color
        yield Labelled("emoji", half, group, image, moved(box, 1.0, rng), box.color)


def moved(box: Box, by_px: float, rng: np.random.Generator, times: int = 1) -> Box:
    off = times * (np.array(box.xyxy) + rng.uniform(-by_px, by_px, 4))
    return Box(box.class_name, box.score, xyxy_of(off))


def xyxy_of(sides: Iterable[float]) -> Xyxy:
    left, top, right, bottom = map(float, sides)
    return left, top, right, bottom


def photographs(
    labels: dict[str, Any], roots: Sequence[Path], missing: Counter[str]
) -> Iterator[Labelled]:
    for row in labels["photographs"]:
        image = opened(row["file"], roots)
        if image is None:
            missing["photographs"] += len(row["objects"])
            continue
        for thing in row["objects"]:
            box = Box(thing["class"], 1.0, xyxy_of(thing["box"]))
            yield Labelled("photographs", row["half"], row["file"], image, box, thing["color"])


def pasted(
    labels: dict[str, Any], roots: Sequence[Path], missing: Counter[str]
) -> Iterator[Labelled]:
    grounds = {half: [opened(f, roots) for f in labels["backgrounds"][half]] for half in HALVES}
    for number, row in enumerate(labels["stamps"]):
        stamp = opened(row["file"], roots, "RGBA")
        behind = [ground for ground in grounds[row["half"]] if ground]
        if stamp is None or not behind:
            missing["pasted"] += PASTES
            continue
        rng = np.random.default_rng((number, 5))
        for _ in range(PASTES):
            image, box = paste(stamp, behind[int(rng.integers(len(behind)))], rng)
            yield Labelled("pasted", row["half"], row["file"], image, box, row["color"])


def paste(
    stamp: Image.Image, ground: Image.Image, rng: np.random.Generator
) -> tuple[Image.Image, Box]:
    """A quarter to three quarters of the picture's shorter side; the box off by up to JITTER."""
    image = ground.copy()
    image.thumbnail((512, 512))
    stamp = stamp.crop(stamp.getbbox())
    scale = float(rng.uniform(0.25, 0.75)) * min(image.size) / max(stamp.size)
    width, height = (max(1, round(side * scale)) for side in stamp.size)
    stamp = stamp.resize((width, height))
    left, top = (int(rng.integers(0, a - b)) for a, b in zip(image.size, stamp.size, strict=True))
    image.paste(stamp, (left, top), stamp)
    exact = np.array([left, top, left + width, top + height], float)
    off = rng.uniform(-JITTER, JITTER, 4) * np.array([width, height, width, height])
    return image, Box("thing", 1.0, xyxy_of(np.clip(exact + off, 0, [*image.size, *image.size])))


def opened(name: str, roots: Sequence[Path], mode: str = "RGB") -> Image.Image | None:
    for root in roots:
        if (root / name).is_file():
            with Image.open(root / name) as image:
                return image.convert(mode)
    return None


def milliseconds(times: int = 20) -> float:
    """The best of some, for a 512 x 512 box in a 1024 x 1024 image."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    image, box = Image.fromarray(noise), Box("thing", 1.0, (200.0, 200.0, 712.0, 712.0))
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        PixelColor().name(image, box)
        taken.append(1000 * (time.perf_counter() - start))
    return min(taken)


if __name__ == "__main__":
    main()
