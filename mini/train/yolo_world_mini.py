"""The embedded judge: YOLO-World, built from ultralytics' YAML and trained on rendered scenes.

There are no sentences to learn here, so the text embeddings are fixed random unit vectors, one a
class: the text side of YOLO-World (Cheng et al. 2024) at its smallest. Trained with ultralytics'
own detection loss in our own loop: every step is a function of (seed, step number).
"""

from __future__ import annotations

import itertools
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from sipo.common.devices import autocast
from sipo.feedback.detectors.yolo_world import load_yolo_world, quiet_ultralytics
from sipo.feedback.prompts.mini_prompts import CLASSES
from sipo.feedback.prompts.prompt import TAGS
from sipo.mini.train.check import calibrate
from sipo.mini.train.detector_folder import write_config, write_folder
from sipo.mini.train.labelled_scenes import labelled_scenes, soften
from sipo.mini.train.step_loop import one_cycle, run_steps
from sipo.mini.world import SIZE_PX, Scene

if TYPE_CHECKING:
    from ultralytics.nn.tasks import WorldModel

YAML = "yolov8n-worldv2.yaml"
IMAGE_PX = 128
BATCH = 32
PEAK_LR = 3e-3
EMBEDDING = 512
NMS_IOU = 0.6
GAINS = {"box": 7.5, "cls": 0.5, "dfl": 1.5}  # ultralytics' defaults


def train_judge(out: Path, steps: int = 800, seed: int = 0, pipeline: Path | None = None) -> None:
    """Write `out/yolo-world-mini`; with `pipeline`, thresholds are calibrated as it draws, too."""
    torch.manual_seed(seed)
    model = new_model()
    texts = class_embeddings(seed)
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=1e-2)

    def step(k: int) -> dict[str, float]:
        batch = make_batch(seed * 1_000_003 + k)
        batch["txt_feats"] = texts.expand(BATCH, -1, -1)
        with autocast():
            predictions = model(batch["img"], txt_feats=batch["txt_feats"])
        predictions = {name: _float(part) for name, part in predictions.items()}
        losses, parts = model.loss(batch, predictions)
        (losses.sum() / BATCH).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.param_groups[0]["lr"] = PEAK_LR * one_cycle(k, steps)
        optimizer.step()
        optimizer.zero_grad()
        return {name: float(value) for name, value in parts.items()}

    run_steps(out, {"model": model, "optimizer": optimizer}, steps, step)
    _export(model, texts, out / "yolo-world-mini", pipeline)


def _export(model: WorldModel, texts: Tensor, folder: Path, pipeline: Path | None) -> None:
    """The folder that `load_yolo_world` reads; its thresholds are those its own weights ask for."""
    config = {
        "yaml": YAML,
        "classes": CLASSES,
        "image_px": IMAGE_PX,
        "nms_iou": NMS_IOU,
        "thresholds": dict.fromkeys(TAGS, 0.5),
    }
    write_folder(folder, model.state_dict() | {"txt_feats": texts[0]}, config)
    config["thresholds"] = calibrate(load_yolo_world(folder, CLASSES), pipeline=pipeline)
    write_config(folder, config)


def new_model() -> WorldModel:
    """ultralytics' WorldModel for our classes, in training mode, with its loss's gains set."""
    quiet_ultralytics()
    tasks = import_module("ultralytics.nn.tasks")
    model = tasks.WorldModel(YAML, nc=len(CLASSES), verbose=False).train()
    model.args = SimpleNamespace(**GAINS)
    return model


def class_embeddings(seed: int) -> Tensor:
    """(1, classes, EMBEDDING) orthonormal rows: no class is nearer to another than to a third."""
    noise = np.random.default_rng(seed).standard_normal((EMBEDDING, len(CLASSES)))
    return torch.from_numpy(np.linalg.qr(noise)[0].T.copy()).float()[None]


def make_batch(seed: int) -> dict[str, Tensor]:
    """ultralytics' training batch: `img` (B, 3, S, S) in [0, 1], boxes as (cx, cy, w, h) / side."""
    rng = np.random.default_rng((seed, 1))
    drawn = list(itertools.islice(labelled_scenes(seed), BATCH))
    pixels = np.stack([soften(scene.image, rng) for scene in drawn])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    return {"img": F.interpolate(images, size=IMAGE_PX, mode="bilinear")} | _targets(drawn)


def _targets(drawn: list[Scene]) -> dict[str, Tensor]:
    rows = [(i, box) for i, scene in enumerate(drawn) for box in scene.boxes]
    corners = torch.tensor([box.xyxy for _, box in rows]) / SIZE_PX
    low, high = corners[:, :2], corners[:, 2:]
    return {
        "batch_idx": torch.tensor([float(i) for i, _ in rows]),
        "cls": torch.tensor([[float(CLASSES.index(box.class_name))] for _, box in rows]),
        "bboxes": torch.cat([(low + high) / 2, high - low], 1),
    }


def _float(part: Tensor | list[Tensor]) -> Tensor | list[Tensor]:
    return part.float() if isinstance(part, Tensor) else [item.float() for item in part]
