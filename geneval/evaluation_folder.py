"""One folder, one evaluation: `config.json` holds a folder to the settings it was started with."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from sipo.common.files.text import read_json
from sipo.common.files.writing import write_json as write
from sipo.common.records import Record, read_record
from sipo.common.resume_guard import first_difference, option_of, refuse

R = TypeVar("R", bound=Record)

CONFIG = "config.json"
RESULTS = "results.jsonl"
SUMMARY = "summary.json"

_LATER = ("judge", "listed", "dtype")
"""What folders of earlier versions do not say."""
FLOAT32 = {"dtype": "float32"}
"""Of sampled images where the folder says nothing else."""
_OPTIONS = {
    "detector": "--judge, --judge-weights or --judge-settings ({name})",
    "detector.part.source_sha256": "source file of --judge ({name})",
    "backbone.weights_sha256": "--backbone, --weights or --dtype ({name})",
    "backbone": "--backbone ({name})",
    "sampler": "--{leaf}",
    "prompts": "--suite or --prompts ({name})",
    "seeds": "--seed ({name})",
    "listed": "--images",
    "runs": "evaluations ({name})",
    "per_prompt": "--images-per-prompt",
}


def hold(folder: Path, config: Mapping[str, object]) -> None:
    """Write `config.json`; where one is there already it must say the same.

    Raises ValueError naming the first setting that differs.
    """
    path = folder / CONFIG
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, config)
        return
    before = read_config(folder)
    now = FLOAT32 | dict(config)
    now = {key: value for key, value in now.items() if key in before or key not in _LATER}
    if difference := first_difference(before, now):
        refuse(folder, option_of(difference.name, _OPTIONS), difference)


def hold_early(folder: Path, known: Mapping[str, object]) -> None:
    """As `hold`, for what is known before a model is loaded: nothing is written, and of a setting

    that the folder does not name nothing is said.
    """
    if difference := first_difference(read_config(folder), known, among="shared"):
        refuse(folder, option_of(difference.name, _OPTIONS), difference)


def read_config(folder: Path) -> dict[str, object]:
    """{} where there is none yet. Raises ValueError for a damaged one."""
    path = folder / CONFIG
    if not path.is_file():
        return {}
    try:
        return read_json(path)
    except ValueError as error:
        raise ValueError(f"{error}; restore it, or give another --out") from None


def read_summary(folder: Path, kind: type[R]) -> R:
    """`summary.json`, as far as `kind` names it. Raises ValueError where there is no whole one."""
    path = folder / SUMMARY
    remedy = "run the same sipo-geneval again"
    if not path.is_file():
        raise ValueError(f"{str(folder)!r} has no {SUMMARY}; {remedy}")
    return read_record(path, kind, f"remove it and {remedy}")


def write_json(path: Path, value: Mapping[str, object]) -> None:
    """Keys in the order that readers meet them: tags as GenEval has them, runs as given."""
    write(path, value, indent=2, sort_keys=False)
