"""The folder of a detector of ours, as the recipes in `mini/` write it: nothing is executable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import BaseModel, ValidationError
from torch import Tensor

from sipo.common.files.tensor_files import read_tensors
from sipo.feedback.detectors.base import known_classes
from sipo.feedback.judge_weights import check_files, describe_file

CONFIG, WEIGHTS = "config.json", "model.safetensors"


class DetectorConfig(BaseModel):
    """What a detector was trained and calibrated with: its `config.json`."""

    classes: tuple[str, ...]
    thresholds: dict[str, float]  # by tag
    image_px: int
    colors: tuple[str, ...] = ()  # of the evaluator's own head
    yaml: str = ""  # ultralytics' name of a YOLO-World
    nms_iou: float = 1.0


def read_detector(
    folder: Path, vocabulary: Sequence[str], what: str = "judge weights"
) -> tuple[DetectorConfig, dict[str, Tensor], dict[str, object]]:
    """(config, tensors, name and hash). Raises ValueError for what is missing or damaged, and for

    a class of `vocabulary` that it does not know.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ValueError(f"{what} {str(folder)!r} lack {name}")
    check_files(folder)
    try:
        config = DetectorConfig.model_validate_json((folder / CONFIG).read_bytes())
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ValueError(f"{what} {str(folder)!r}: {CONFIG}, {place}: {first['msg']}") from None
    known_classes(vocabulary, config.classes, folder.name)
    tensors = read_tensors(folder / WEIGHTS, what)
    return config, tensors, describe_file(folder, folder / WEIGHTS)
