"""Where YOLO-World's weights are, told without torch: a folder of ours, or the published files."""

from __future__ import annotations

from pathlib import Path

from sipo.common.files.tensor_files import refuse_no_weights
from sipo.common.hub import is_offline, unreachable
from sipo.feedback.published_weights import YOLO_FILES, YOLO_RELEASE, torch_cache


def local_yolo(path: Path) -> Path | None:
    """That file, or an official one by its name, from torch's cache; None where it is to be
    downloaded. Raises ValueError for what is neither, and where there is no network."""
    if str(path) in YOLO_FILES and not path.is_file():
        kept = torch_cache() / path.name
        if kept.is_file():
            return kept
        reason = "HF_HUB_OFFLINE is set" if is_offline() else unreachable(YOLO_RELEASE)
        if reason:
            raise ValueError(missing(path.name, reason))
        return None
    if path.is_file() and path.suffix == ".pt":
        with path.open("rb") as file:
            refuse_no_weights(file.read(64), f"judge weights {str(path)!r}")
    if not path.is_file() or path.suffix != ".pt":
        raise ValueError(
            f"judge weights {str(path)!r} are neither a folder with model.safetensors and "
            f"config.json nor a file like {YOLO_FILES[-1]}; give no weights for the embedded judge"
        )
    return path


def missing(name: str, reason: str) -> str:
    return (
        f"judge weights {name!r} are not in {str(torch_cache())!r} and cannot be downloaded "
        f"({reason}); get {YOLO_RELEASE}{name} and give its path"
    )
