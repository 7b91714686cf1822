"""The whole generate stage on a card: images/s, and how long the card had nothing to sample."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from on_card.models import Build
from on_card.report import Figures, Report, now
from on_card.speed import Bench, random_yolo_world

from sipo.backbones.placement import place
from sipo.datagen.generation.build import prepare
from sipo.datagen.generation.run import run
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.prompts.grammar import colors

CANDIDATES = 8  # of a prompt, sampled together
PROMPTS = {"SD 1.5": 12, "SDXL 1.0": 3}


def generating(bench: Bench, report: Report) -> None:
    for build in bench.builds:
        if build.model.name in PROMPTS:
            report.measure(f"{build.model.name} bf16", partial(generated, bench, build))


def generated(bench: Bench, build: Build) -> Figures:
    """Sampled in bf16, judged by YOLO-World-x with a colour a prompt, encoded and written."""
    backbone: Any = build.whole(torch.bfloat16, bench.device)
    place(backbone, bench.device, offload=False)
    sample, seconds = backbone.sample, 0.0

    def timed(*asked: Any) -> Any:
        nonlocal seconds
        began = now()
        made = sample(*asked)
        seconds += now() - began
        return made

    count = 2 if bench.tiny else PROMPTS[build.model.name]
    names = ("cat", "dog", *(f"class {n}" for n in range(count)))  # of the judge's
    prompts = [colors(name, "red") for name in names[:count]]
    with tempfile.TemporaryDirectory() as scratch:
        settings = GenerateSettings(
            backbone=build.model.name,
            candidates=CANDIDATES,
            batch_size=CANDIDATES,
            prompts_per_shard=4,
            device=bench.device.type,
            workers=1,
            out=Path(scratch) / "shards",
        )
        job = prepare(settings, prompts, backbone, random_yolo_world(bench))
        backbone.sample(["a red cat"] * CANDIDATES, range(CANDIDATES), job.sampler)
        backbone.sample = timed
        began = now()
        run(job, settings.out, progress=False)
        wall_s = now() - began
    return {
        "images_s": count * CANDIDATES / wall_s,
        "idle_share": 1 - seconds / wall_s,
        "images": count * CANDIDATES,
    }
