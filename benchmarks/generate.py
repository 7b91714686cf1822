"""How fast `generate` is where sampling takes no time: what it adds to a card's own seconds.

    python benchmarks/generate.py [--baseline PATH] [--images 64] [--rounds 5] [--px 1024]

The sampler hands out pictures and latents that it has already: gradients with grain, which
compress as photographs do. The judge takes no time either, or reads one box's colour an image off
the pixels. --baseline is a checkout of another commit: it runs the same, in turns with this one,
every run in a process of its own with one thread for arithmetic. Seconds are the wall's and the
process's own; the share is of the wall's in which the sampler had to wait: what a card is idle.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter

ROOT = Path(__file__).parents[1]
PREPARED = 8  # pictures, again and again
LATENTS = (4, 128, 128)  # SDXL's at 1024 px
CANDIDATES = 8  # of a prompt
JUDGES = ("none", "colours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--baseline", type=Path, help="A checkout of another commit.")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--px", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sampler-ms", type=float, default=0.0, help="An image, slept.")
    parser.add_argument("--judges", nargs="+", choices=JUDGES, default=list(JUDGES))
    parser.add_argument("--run", choices=JUDGES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        print(json.dumps(measured(asked.run, asked.images, asked.px, asked.sampler_ms / 1000)))
        return
    trees = {"here": ROOT} | ({"baseline": asked.baseline} if asked.baseline else {})
    with tempfile.TemporaryDirectory() as scratch:
        found = in_turns(trees, asked, Path(scratch))
    print(json.dumps(found, indent=1))


def in_turns(
    trees: dict[str, Path], asked: argparse.Namespace, scratch: Path
) -> dict[str, dict[str, Any]]:
    """Judge -> tree -> medians; with two trees also how many times as fast this one is."""
    options = [f"--{name}={getattr(asked, name.replace('-', '_'))}" for name in OPTIONS]
    table: dict[str, dict[str, Any]] = {}
    for judge in asked.judges:
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in trees}
        for _ in range(asked.rounds):
            for name, tree in trees.items():
                words = [sys.executable, __file__, f"--run={judge}", *options]
                found = packaged(tree.resolve(), scratch / name)
                environment = os.environ | {"PYTHONPATH": str(found), "OMP_NUM_THREADS": "1"}
                said = subprocess.run(
                    words, env=environment, stdout=subprocess.PIPE, text=True, check=True
                )
                rows[name].append(json.loads(said.stdout))
        table[judge] = {name: medians(some) for name, some in rows.items()}
        if len(trees) == 2:
            here, before = table[judge]["here"], table[judge]["baseline"]
            for key in ("images_s", "images_cpu_s"):
                table[judge][f"times_{key}"] = round(here[key] / before[key], 2)
    return table


OPTIONS = ("images", "px", "sampler-ms")


def packaged(tree: Path, into: Path) -> Path:
    """A folder in which `import sipo` finds the rooms of that checkout."""
    if not into.exists():
        (into / "sipo").mkdir(parents=True)
        for file in (tree / "sipo").iterdir():
            (into / "sipo" / file.name).symlink_to(file)
        for room in tree.iterdir():
            if (room / "__init__.py").is_file() and room.name != "sipo":
                (into / "sipo" / room.name).symlink_to(room)
    return into


def medians(rows: Sequence[dict[str, float]]) -> dict[str, Any]:
    found: dict[str, Any] = {key: round(median(row[key] for row in rows), 3) for key in rows[0]}
    return found | {"images_s_of_all": [round(row["images_s"], 2) for row in rows]}


def measured(judge: str, images: int, px: int, sampler_s: float) -> dict[str, float]:
    from sipo.datagen.generation.run import generate
    from sipo.datagen.settings import GenerateSettings
    from sipo.feedback.prompts.grammar import colors
    from sipo.feedback.prompts.prompt import COLORS

    names = (f"thing {number}" for number in range(images))
    prompts = [colors(name, COLORS[0]) for name in names][: max(1, images // CANDIDATES)]
    backbone: Any = Prepared(px, sampler_s)
    with tempfile.TemporaryDirectory() as scratch:
        settings = GenerateSettings(
            backbone="prepared",
            candidates=CANDIDATES,
            batch_size=CANDIDATES,
            prompts_per_shard=4,
            margin=0.1,
            workers=1,
            out=Path(scratch) / "shards",
        )
        seeing: Any = JUDGE_MAKERS[judge]([prompt.classes[0] for prompt in prompts], px)
        began, cpu = time.perf_counter(), time.process_time()
        generate(settings, prompts, backbone, seeing, progress=False)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        size = sum(path.stat().st_size for path in settings.out.glob("candidates-*.tar"))
    made = len(prompts) * CANDIDATES
    return {
        "images_s": made / wall_s,
        "images_cpu_s": made / cpu_s,
        "mb_an_image": size / made / 1e6,
        "sampler_waits": 1 - backbone.sampling_s / wall_s,
    }


class Prepared:
    """A backbone that has all its pictures already."""

    fps = None
    name = "prepared"
    part = None

    def __init__(self, px: int, seconds: float) -> None:
        from sipo.backbones.base import Sampler

        self.default_sampler = Sampler()
        self.pictures = [photograph(px, seed) for seed in range(PREPARED)]
        self.latents = torch.randn(PREPARED, *LATENTS, generator=torch.manual_seed(0))
        self.seconds, self.sampling_s = seconds, 0.0

    def describe(self) -> dict[str, str]:
        return {"name": self.name, "family": "stable-diffusion-xl", "weights_sha256": "0" * 64}

    def denoisers(self) -> dict[str, Any]:
        return {}

    def sized(self, sampler: Any) -> Any:
        return sampler

    def encode_prompts(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        return {"encoder_hidden_states": torch.zeros(len(texts), 77, 2048)}

    def sample(self, texts: Sequence[str], seeds: Sequence[int], sampler: Any) -> list[Any]:
        from sipo.backbones.base import Generated

        began = time.perf_counter()
        time.sleep(self.seconds * len(seeds))
        places = [seed % PREPARED for seed in seeds]
        made = [Generated(self.pictures[place].copy(), self.latents[place]) for place in places]
        self.sampling_s += time.perf_counter() - began
        return made


def photograph(px: int, seed: int) -> Image.Image:
    chance = np.random.default_rng(seed)
    y, x = np.mgrid[:px, :px] / px
    waves = [90 * np.sin((3 + seed) * x + k * y) + 40 * np.cos(9 * x * y + k) for k in range(3)]
    blotches = Image.fromarray(chance.integers(88, 168, (px, px, 3), np.uint8))
    soft = np.asarray(blotches.filter(ImageFilter.GaussianBlur(1)), np.float64) - 128
    pixels = 128 + np.stack(waves, -1) + soft + chance.normal(0, 2, (px, px, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class NoJudge:
    """Of a judge's work only the verdict: by the number of the call."""

    calls = 0

    def describe(self) -> dict[str, object]:
        return {"id": "none"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Any]) -> list[Any]:
        from sipo.feedback.rule.verdict import Verdict

        self.calls += 1
        scores = [(number * 37 + self.calls * 11) % 97 / 100 for number in range(len(images))]
        return [Verdict(score=score, correct=score > 0.5) for score in scores]


def color_judge(vocabulary: Sequence[str], px: int) -> Any:
    """YOLO-World's without its network: one box of a quarter of the picture each."""
    from sipo.feedback.detectors.yolo_judge import YoloWorldJudge

    box = torch.tensor([160.0, 160.0, 480.0, 480.0])

    def network(pixels: torch.Tensor, texts: Any, floor: float, nms_iou: float) -> list[Any]:
        rows = [[*box.tolist(), 0.9, name] for name in range(len(vocabulary))]
        return [torch.tensor(rows)] * len(pixels)

    return YoloWorldJudge(network, torch.eye(512)[: len(vocabulary)], vocabulary, description={})


JUDGE_MAKERS: dict[str, Any] = {"none": lambda vocabulary, px: NoJudge(), "colours": color_judge}

if __name__ == "__main__":
    main()
