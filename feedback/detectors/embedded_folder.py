"""The folder of a detector of ours, as the recipes in `mini/` write it: nothing is executable."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, ValidationError

from sipo.common.files.tensor_files import read_tensors
from sipo.feedback.judge_weights import check_files, describe_file

if TYPE_CHECKING:
    from torch import Tensor

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
    """(config, tensors, name and hash). Raises ValueError as `read_config`, and for damaged
    tensors."""
    config = read_config(folder, vocabulary, what)
    tensors = read_tensors(folder / WEIGHTS, what)
    return config, tensors, describe_file(folder, folder / WEIGHTS)


def read_config(
    folder: Path, vocabulary: Sequence[str], what: str = "judge weights"
) -> DetectorConfig:
    """Raises ValueError for what is missing or damaged, and for a class of `vocabulary` that it
    does not know. No torch."""
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
    return config


def known_classes(asked: Sequence[str], known: Sequence[str], judge: str) -> tuple[str, ...]:
    """`asked` without doubles. Raises ValueError for a class the judge cannot name."""
    for name in asked:
        if name not in known:
            raise ValueError(
                f"class {name!r} is unknown to judge {judge!r}, which knows {', '.join(known)}; "
                "give prompts of these, or another judge"
            )
    return tuple(dict.fromkeys(asked))
