"""The independent evaluator: CenterNet on rendered and redrawn scenes, its own seed, damage and
colour head.

Losses: the penalty-reduced focal loss on the heatmap (Zhou et al. 2019, eq. 1), L1 on the sides,
cross-entropy on the colour. Sides and colour are learnt in the 3x3 cells around every centre, so
that a peak one cell off still carries a good box.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from sipo.common.devices import autocast
from sipo.feedback.detectors.centernet import load_centernet
from sipo.feedback.detectors.centernet_network import STRIDE, CenterNet, Maps
from sipo.feedback.prompts.mini_prompts import CLASSES, COLORS
from sipo.feedback.prompts.prompt import TAGS
from sipo.feedback.rule.boxes import Xyxy
from sipo.mini.train.check import calibrate
from sipo.mini.train.detector_folder import write_config, write_folder
from sipo.mini.train.labelled_scenes import labelled_scenes
from sipo.mini.train.redrawn import redrawn_scenes
from sipo.mini.train.step_loop import one_cycle, run_steps
from sipo.mini.world import SIZE_PX, Scene

BATCH = 32
POOL = 6000  # redrawn scenes
PEAK_LR = 3e-3
CELLS = SIZE_PX // STRIDE
SPREAD = 0.12  # a peak's standard deviation, as a share of the box's side
SIDES_WEIGHT, COLOR_WEIGHT = 0.3, 0.5
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Targets:
    """`heat` (B, N, M, M) in [0, 1]; `sides` (K, 4) and `color` (K,) at the K cells `at`."""

    heat: Tensor
    at: tuple[Tensor, Tensor, Tensor]  # image, y, x, each (K,)
    sides: Tensor
    color: Tensor
    objects: int


def train_evaluator(
    out: Path, steps: int = 1200, seed: int = 1000, pipeline: Path | None = None
) -> None:
    """Write `out/evaluator`; with `pipeline`, half of the scenes are redrawn by it, and thresholds
    are calibrated on such scenes too.
    """
    pool = redrawn_scenes(pipeline, seed, POOL) if pipeline else []
    torch.manual_seed(seed)
    model = CenterNet(len(CLASSES), len(COLORS)).train()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=1e-2)

    def step(k: int) -> dict[str, float]:
        images, targets = make_batch(seed * 1_000_003 + k, pool)
        with autocast():
            maps = model(images)
        parts = losses(maps, targets)
        torch.autograd.backward(list(parts.values()))
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.param_groups[0]["lr"] = PEAK_LR * one_cycle(k, steps)
        optimizer.step()
        optimizer.zero_grad()
        return {name: part.item() for name, part in parts.items()}

    run_steps(out, {"model": model, "optimizer": optimizer}, steps, step)
    _export(model, out / "evaluator", pipeline)


def _export(model: CenterNet, folder: Path, pipeline: Path | None) -> None:
    """The folder that `load_centernet` reads; its thresholds are those its own weights ask for."""
    config = {
        "classes": CLASSES,
        "colors": COLORS,
        "image_px": SIZE_PX,
        "thresholds": dict.fromkeys(TAGS, 0.3),
    }
    write_folder(folder, model.state_dict(), config)
    config["thresholds"] = calibrate(load_centernet(folder, CLASSES), pipeline=pipeline)
    write_config(folder, config)


def losses(maps: Maps, targets: Targets) -> dict[str, Tensor]:
    """{"heat", "sides", "color"}, each a mean over objects, weighted."""
    image, y, x = targets.at
    sides = maps.sides[image, :, y, x]
    color = maps.colors[image, :, y, x]
    return {
        "heat": _focal(maps.heat, targets.heat) / targets.objects,
        "sides": SIDES_WEIGHT * (sides - targets.sides).abs().mean(),
        "color": COLOR_WEIGHT * F.cross_entropy(color, targets.color),
    }


def _focal(heat: Tensor, target: Tensor) -> Tensor:
    """Zhou et al. 2019, eq. 1, alpha 2 and beta 4, summed."""
    log_p, log_not_p, p = F.logsigmoid(heat), F.logsigmoid(-heat), heat.sigmoid()
    peak = target == 1
    at_peaks = (1 - p) ** 2 * log_p
    elsewhere = (1 - target) ** 4 * p**2 * log_not_p
    return -torch.where(peak, at_peaks, elsewhere).sum()


def make_batch(seed: int, pool: Sequence[Scene] = ()) -> tuple[Tensor, Targets]:
    """(B, 3, S, S) in [0, 1] and their targets: half are of the `pool`, half are mirrored."""
    rng = np.random.default_rng((seed, 2))
    redrawn = BATCH // 2 if pool else 0
    chosen = rng.permutation(len(pool))[:redrawn]
    fresh = itertools.islice(labelled_scenes(seed), BATCH - redrawn)
    drawn = [*fresh, *(pool[number] for number in chosen)]
    mirrored = rng.random(BATCH) < 0.5
    pixels = np.stack([_damage(s.image, rng) for s in drawn])
    pixels[mirrored] = pixels[mirrored, :, ::-1]
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return images, make_targets(drawn, [bool(m) for m in mirrored])


def make_targets(drawn: list[Scene], mirrored: list[bool]) -> Targets:
    heat = torch.zeros(len(drawn), len(CLASSES), CELLS, CELLS)
    cells, sides, colors = [], [], []
    for number, (scene, flip) in enumerate(zip(drawn, mirrored, strict=True)):
        for box in scene.boxes:
            left, top, right, bottom = box.xyxy
            xyxy = (SIZE_PX - right, top, SIZE_PX - left, bottom) if flip else box.xyxy
            y, x = _splat(heat[number, CLASSES.index(box.class_name)], xyxy)
            color = COLORS.index(box.color) if box.color else len(COLORS)
            for near_y, near_x in itertools.product(range(y - 1, y + 2), range(x - 1, x + 2)):
                if 0 <= near_y < CELLS and 0 <= near_x < CELLS:
                    cells.append((number, near_y, near_x))
                    sides.append(_sides(xyxy, near_y, near_x))
                    colors.append(color)
    image, ys, xs = torch.tensor(cells).unbind(1)
    objects = sum(len(scene.boxes) for scene in drawn)
    return Targets(heat, (image, ys, xs), torch.tensor(sides), torch.tensor(colors), objects)


def _splat(heat: Tensor, xyxy: Xyxy) -> tuple[int, int]:
    """Raise a (M, M) heatmap by one Gaussian peak, in place; its cell (y, x)."""
    x, y = (int((xyxy[i] + xyxy[i + 2]) / 2 / STRIDE) for i in (0, 1))
    deviation = [max(0.6, SPREAD * (xyxy[i + 2] - xyxy[i]) / STRIDE) for i in (0, 1)]
    grid = torch.arange(CELLS)
    along_x = torch.exp(-((grid - x) ** 2) / (2 * deviation[0] ** 2))
    along_y = torch.exp(-((grid - y) ** 2) / (2 * deviation[1] ** 2))
    torch.maximum(heat, along_y[:, None] * along_x, out=heat)
    return y, x


def _sides(xyxy: Xyxy, y: int, x: int) -> tuple[float, float, float, float]:
    center_x, center_y = (x + 0.5) * STRIDE, (y + 0.5) * STRIDE
    return (center_x - xyxy[0], center_y - xyxy[1], xyxy[2] - center_x, xyxy[3] - center_y)


def _damage(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Lost resolution, JPEG, another gamma: a decoder's damage, otherwise than `soften` has it."""
    picture = Image.fromarray(image)
    if rng.random() < 0.5:
        small = int(rng.integers(34, SIZE_PX))
        picture = picture.resize((small, small), Image.Resampling.BILINEAR)
        picture = picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    if rng.random() < 0.4:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(rng.integers(35, 90)))
        picture = Image.open(file)
    pixels = np.asarray(picture, np.float32) / 255
    if rng.random() < 0.5:
        pixels = pixels ** rng.uniform(0.85, 1.2)
    if rng.random() < 0.5:
        pixels = pixels * rng.uniform(0.94, 1.03, 3)
    damaged: Pixels = np.rint(pixels.clip(0, 1) * 255).astype(np.uint8)
    return damaged
