"""What can be seen to keep a judge from being loaded, by its name and settings alone: no torch.

What needs weights to be read is left to the loader, which checks again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sipo.common.hub import unreachable
from sipo.feedback.detectors.embedded_folder import read_config
from sipo.feedback.detectors.yolo_files import local_yolo
from sipo.feedback.judge_urls import is_url
from sipo.feedback.judge_weights import local_file, local_folder
from sipo.feedback.published_weights import CLIP_B, NEEDS, VIT_L, Needs
from sipo.feedback.registry import JudgeSettings, read_settings, split_names
from sipo.feedback.scorers.ocr_reader import require_ocr
from sipo.weights import weights_folder

EMBEDDED = {"yolo-world": "yolo-world-mini", "mini-evaluator": "evaluator"}
"""The weights that a judge has where nobody names others."""


def check_judge_weights(
    judge: str,
    weights: str | Path | None,
    vocabulary: Sequence[str],
    settings: str | Path | JudgeSettings | None = None,
    option: str = "--judge",
) -> None:
    """Raises ValueError for weights that are neither here nor to be had, and for a class that an
    embedded judge does not know. `judge` may be several, and may name weights of its own."""
    given = read_settings(settings)
    for name, own in split_names(judge, option):
        _check(name, own or weights, vocabulary, given.get(name, {}))


def _check(
    name: str, weights: str | Path | None, vocabulary: Sequence[str], given: Mapping[str, object]
) -> None:
    if weights is None and name in EMBEDDED:
        read_config(weights_folder(EMBEDDED[name]), vocabulary)
    elif name == "mini-evaluator":
        read_config(Path(str(weights)), vocabulary, "evaluator weights")
    elif name == "yolo-world" and Path(str(weights)).is_dir():
        read_config(Path(str(weights)), vocabulary)
    elif name == "yolo-world":
        local_yolo(Path(str(weights)))
        local_folder(str(given.get("text_encoder", CLIP_B)))
    elif name == "aesthetic" and weights is not None:
        local_folder(str(given.get("clip", VIT_L)))
    elif name == "ocr":
        require_ocr()
    elif name == "http" or is_url(str(weights)):
        _check_server(name, str(weights or given.get("url") or ""))
    elif needs := NEEDS.get(name):
        _check_needs(needs, weights, given)
    if given.get("color", needs_of(name).color) == "clip":
        local_folder(str(given.get("color_weights", VIT_L)))


def _check_server(name: str, url: str) -> None:
    """Whether anybody listens there; what it answers the loader asks, and tries again."""
    if url.startswith(("http://", "https://")) and (reason := unreachable(url)):
        raise ValueError(f"judge '{name}={url}': {reason}; start its server, or correct the URL")


def needs_of(name: str) -> Needs:
    return NEEDS.get(name, Needs())


def _check_needs(needs: Needs, weights: str | Path | None, given: Mapping[str, object]) -> None:
    if needs.folder:
        local_folder(weights or needs.folder)
    if needs.file:
        local_file(weights, *needs.file)
    for setting, repository in needs.beside.items():
        local_folder(str(given.get(setting, repository)), needs_weights=False)
