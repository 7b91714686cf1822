"""Images a second of `sipo-data import`: this tree, another, and a plain PIL loop.

    python benchmarks/imports.py [--pairs 10000] [--px 512] [--source-px 512] [--baseline TREE]
        [--cache FOLDER] [--runs 3] [--workers N] [--only SIDE]

Pairs of synthetic JPEGs, made once into --cache; each side is a process of its own, the sides in
turn, --runs times, and the median counts. The loop does what one would write in ten lines: open,
load, resize and crop where the size is another, save as PNG by Pillow's defaults into a tar.
CPU seconds are of the process, without its imports; the disk is what the output takes.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from PIL import Image

ROOT = Path(__file__).parents[1]
ROOMS = ("common", "weights", "pages", "feedback", "backbones", "datagen", "train", "geneval")
COLUMNS = ["side", "images/s", "images/CPU s", "CPU s (least-most)", "wall s"]
COLUMNS += ["MB on disk", "peak MB"]
BASES = 32  # pictures that all others are cut from

IMPORT = """
import sys, json, resource, time
from pathlib import Path
source, out, px, workers = sys.argv[1:]
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
given = {"workers": int(workers)} if int(workers) else {}
given |= {"source": source, "out": Path(out), "resolution": int(px)}
asked = ImportSettings(format="folder", **given)
cpu, wall = time.process_time(), time.perf_counter()
images = 2 * import_pairs(asked, progress=False).pairs
"""
LOOP = """
import io, sys, json, resource, tarfile, time
from pathlib import Path
from PIL import Image
source, out, px, _ = sys.argv[1:]
px = int(px)
Path(out).mkdir()
cpu, wall, images = time.process_time(), time.perf_counter(), 0
with tarfile.open(f"{out}/pairs.tar", "w") as tar:
    for i, line in enumerate(open(f"{source}/pairs.jsonl")):
        row = json.loads(line)
        for role in ("winner", "loser"):
            image = Image.open(f"{source}/{row[role]}")
            image.load()
            image = image.convert("RGB")
            if image.size != (px, px):
                scale = px / min(image.size)
                size = [max(px, round(side * scale)) for side in image.size]
                image = image.resize(size, Image.Resampling.BILINEAR)
                left, top = (image.width - px) // 2, (image.height - px) // 2
                image = image.crop((left, top, left + px, top + px))
            buffer = io.BytesIO()
            image.save(buffer, "PNG")
            info = tarfile.TarInfo(f"{i:08d}.{role}.png")
            info.size = buffer.tell()
            buffer.seek(0)
            tar.addfile(info, buffer)
            images += 1
"""
SAY = """
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # KiB on Linux
print(json.dumps({"images": images, "cpu_s": cpu, "wall_s": wall, "peak_mb": peak}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--px", type=int, default=512, help="What is asked for.")
    parser.add_argument("--source-px", type=int, default=512, help="What the JPEGs have.")
    parser.add_argument("--baseline", type=Path, help="Another tree of this repository.")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir(), "import-pairs"))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=0, help="Of this tree; 0: its default.")
    parser.add_argument("--only", choices=("this tree", "PIL loop", "baseline"))
    asked = parser.parse_args()
    source = sources(asked.cache, asked.pairs, asked.source_px)
    sides = {"this tree": (IMPORT, ROOT), "PIL loop": (LOOP, ROOT)}
    if asked.baseline:
        sides["baseline"] = (IMPORT, asked.baseline)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
    if asked.only:
        sides, runs = {asked.only: sides[asked.only]}, {asked.only: []}
    for _ in range(asked.runs):
        for name, (script, tree) in sides.items():
            workers = asked.workers if tree == ROOT else 0
            runs[name].append(measured(script + SAY, tree, source, asked.px, workers))
            print(name, json.dumps(runs[name][-1]), file=sys.stderr)
    print(table(runs))


def sources(cache: Path, pairs: int, px: int) -> Path:
    """The format `folder`: JPEGs like photographs, quality 90, and `pairs.jsonl`."""
    folder = cache / f"{pairs}-{px}"
    if (folder / "pairs.jsonl").is_file():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng(0)
    bases = [photograph(chance, px) for _ in range(BASES)]
    for i in range(pairs):
        for j, role in enumerate("wl"):
            number = 2 * i + j
            shift = number // BASES
            pixels = np.roll(bases[number % BASES], (7 * shift, 13 * shift), (0, 1))
            Image.fromarray(pixels).save(folder / f"{role}{i:05d}.jpg", quality=90)
    rows = (
        json.dumps({"prompt": f"a cat {i}", "winner": f"w{i:05d}.jpg", "loser": f"l{i:05d}.jpg"})
        for i in range(pairs)
    )
    (folder / "pairs.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return folder


def photograph(chance: np.random.Generator, px: int) -> NDArray[np.uint8]:
    """Soft shapes under grain: 80 KB as JPEG and 500 KB as PNG at 512 px, as pictures have them."""
    shapes = chance.integers(0, 256, (px // 16, px // 16, 3), dtype=np.uint8)
    soft = np.asarray(Image.fromarray(shapes).resize((px, px), Image.Resampling.BICUBIC))
    return (soft + chance.normal(0, 6, soft.shape)).clip(0, 255).astype(np.uint8)


def measured(script: str, tree: Path, source: Path, px: int, workers: int) -> dict[str, float]:
    """One run of one side, in a process that sees only that tree."""
    with tempfile.TemporaryDirectory(dir=source.parent) as scratch:
        package = Path(scratch, "sipo")
        package.mkdir()
        (package / "__init__.py").symlink_to(tree.resolve() / "sipo" / "__init__.py")
        for room in ROOMS:
            (package / room).symlink_to(tree.resolve() / room)
        out = Path(scratch).resolve() / "out"
        command = [sys.executable, "-c", script]
        given = [str(value) for value in (source.resolve(), out, px, workers)]
        env = {**os.environ, "PYTHONPATH": scratch, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            command + given, cwd=scratch, env=env, check=True, stdout=subprocess.PIPE
        )
        row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        row["disk_mb"] = sum(path.stat().st_size for path in out.iterdir()) / 2**20
        shutil.rmtree(out)
    return row


def table(runs: dict[str, list[dict[str, float]]]) -> str:
    """Medians, and the spread of the CPU's seconds."""
    lines = [f"| {' | '.join(COLUMNS)} |", "| --- " * len(COLUMNS) + "|"]
    for name, rows in runs.items():
        cpu, wall, disk, peak, images = (
            [row[key] for row in rows]
            for key in ("cpu_s", "wall_s", "disk_mb", "peak_mb", "images")
        )
        lines.append(
            f"| {name} | {images[0] / median(wall):.0f} | {images[0] / median(cpu):.0f} "
            f"| {median(cpu):.1f} ({min(cpu):.1f}-{max(cpu):.1f}) | {median(wall):.1f} "
            f"| {median(disk):.0f} | {median(peak):.0f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
