"""What sipo does on a CUDA card: speed, memory and sameness. No network, no published weights.

    python benchmarks/gpu.py [--only card sampling ...] [--models SDXL ...] [--out gpu.json]
        [--seconds 360] [--tiny]

SD 1.5, SDXL, FLUX.1-dev, CogVideoX 2B and Wan 2.1 1.3B are built at full size with random weights.
Every measurement is in the file as soon as it is made; what fails is there with its reason, and the
next one begins. --tiny takes tiny models on the CPU and shows only that the command works.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = {"card": 1, "tests": 5, "judge": 1, "generate": 2, "sampling": 10, "training": 10}
"""Part -> its share of the time; what one leaves over goes to those after it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    parser.add_argument("--models", nargs="+", default=[""], help="Beginnings of their names.")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--seconds", type=float, default=360, help="For all parts together.")
    parser.add_argument("--tiny", action="store_true", help="Tiny models, on the CPU.")
    asked = parser.parse_args()
    if asked.tiny:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    sys.path[:0] = [str(ROOT / "tests")]
    with tempfile.TemporaryDirectory() as scratch:
        measure_all(asked, Path(scratch))


def measure_all(asked: argparse.Namespace, scratch: Path) -> None:
    import torch
    from on_card import models, speed, stage, suite
    from on_card.report import Report

    if not (asked.tiny or torch.cuda.is_available()):
        sys.exit("no CUDA card here; --tiny runs on the CPU")
    began = time.monotonic()
    device = torch.device("cpu" if asked.tiny else "cuda")
    builds = models.tiny_builds(scratch) if asked.tiny else models.full_builds()
    known = ", ".join(build.model.name for build in builds)
    builds = [build for build in builds if build.model.name.startswith(tuple(asked.models))]
    if not builds:
        sys.exit(f"--models {' '.join(asked.models)} begins none of {known}")
    bench = speed.Bench(device, builds, asked.tiny, {})
    report = Report(asked.out, {"tiny": asked.tiny, "seconds": asked.seconds})
    runs: dict[str, Callable[[speed.Bench, Report], None]] = {
        "card": speed.card,
        "sampling": speed.sampling,
        "training": speed.training,
        "judge": speed.judge,
        "generate": stage.generating,
        "tests": suite.tests,
    }
    chosen = [name for name in PARTS if name in asked.only]
    for place, name in enumerate(chosen):
        left = asked.seconds - (time.monotonic() - began)
        share = PARTS[name] / sum(PARTS[other] for other in chosen[place:])
        report.part(name, left * share, partial(runs[name], bench))
    print(report.table())


if __name__ == "__main__":
    main()
