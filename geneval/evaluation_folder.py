"""One folder, one evaluation: `config.json` holds a folder to the settings it was started with."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TypeVar

from sipo.common.files.text import read_json
from sipo.common.files.writing import write_json as write
from sipo.common.records import Record, read_record

R = TypeVar("R", bound=Record)

CONFIG = "config.json"
RESULTS = "results.jsonl"
SUMMARY = "summary.json"

_LATER = ("judge", "listed")
"""What folders of earlier versions do not say."""
_FLAGS = {
    "detector": "--judge, --judge-weights or --judge-settings",
    "detector.part.source_sha256": "source file of --judge",
    "backbone.weights_sha256": "--backbone or --weights",
    "backbone": "--backbone",
    "prompts": "--suite or --prompts",
    "suite": "--suite",
    "seeds": "--seed",
    "listed": "--images",
    "runs": "evaluations",
    "per_prompt": "--images-per-prompt",
}
"""The option that decides a setting, by its name or the first part of it."""


def hold(folder: Path, config: Mapping[str, object]) -> None:
    """Write `config.json`; where one is there already it must say the same.

    Raises ValueError naming the first setting that differs.
    """
    path = folder / CONFIG
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, config)
        return
    before, now = dict(_flat(read_config(folder))), dict(_flat(json.loads(json.dumps(config))))
    for key in [*now, *before]:
        if key not in before and key in _LATER:
            continue
        if before.get(key) != now.get(key):
            refuse(folder, key, before.get(key), now.get(key))


def hold_early(folder: Path, known: Mapping[str, object]) -> None:
    """As `hold`, for what is known before a model is loaded: nothing is written, and of a setting

    that the folder does not name nothing is said.
    """
    before = dict(_flat(read_config(folder)))
    for key, value in _flat(json.loads(json.dumps(known))):
        if key in before and before[key] != value:
            refuse(folder, key, before[key], value)


def refuse(folder: Path, key: str, before: object, now: object) -> None:
    """Raises the ValueError that names the setting and the option that decides it."""
    first, _, leaf = key.partition(".")
    plain = f"--{(leaf if first == 'sampler' else first).replace('_', '-')}"
    option = _FLAGS.get(key) or _FLAGS.get(first) or plain
    raise ValueError(
        f"{str(folder)!r} was started with {key} {before!r} and is now asked to go on with "
        f"{now!r}; give another --out, or the {option} it started with"
    )


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


def _flat(value: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        if isinstance(item, dict):
            yield from _flat(item, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", item
