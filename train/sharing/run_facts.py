"""What a finished run folder says of itself, read back for its card."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from sipo.common.files.text import read_json
from sipo.common.files.urls import place_of
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.shard_folder import ShardFolder, open_shards, split_shards
from sipo.feedback.judge_licences import judge_licences
from sipo.train.checkpoint_files import RUN, SUMMARY, Run, RunSummary, read_run, summary

MOST_ANCESTORS = 50


@dataclass(frozen=True)
class Data:
    """A folder of shards that was learnt from; `config` is None where it is no longer there."""

    name: str
    config: FolderConfig | None = None
    pairs: int = 0
    candidates: int = 0

    @property
    def judges(self) -> dict[str, str]:
        """Their licences by name."""
        return judge_licences(self.config.judge.as_read()) if self.config else {}


@dataclass(frozen=True)
class Ancestor:
    """A run whose policy another began with; its data by their names."""

    name: str
    objective: str
    steps: int | None
    data: tuple[str, ...]


@dataclass(frozen=True)
class RunFacts:
    run: Path
    settings: Mapping[str, Any]
    base: str
    base_weights: str
    pairs_per_step: int | None
    summary: RunSummary | None
    data: tuple[Data, ...]
    ancestors: tuple[Ancestor, ...]  # the nearest first

    @property
    def sampler(self) -> dict[str, object]:
        """That the data were sampled with, as far as all folders agree."""
        found = [
            one.config.sampler.as_read() for one in self.data if one.config and one.config.sampler
        ]
        return found[0] if found and all(each == found[0] for each in found) else {}

    @property
    def judges(self) -> dict[str, str]:
        return {name: text for one in self.data for name, text in one.judges.items()}

    @property
    def makes_clips(self) -> bool:
        return any(one.config is not None and one.config.fps for one in self.data)

    @property
    def fps(self) -> int | None:
        return next((one.config.fps for one in self.data if one.config and one.config.fps), None)


def read_run_facts(run: Path, done: RunSummary | None = None) -> RunFacts:
    """Raises ValueError for what is no run folder. Data that are gone are named alone."""
    made = _read_run(run)
    settings: dict[str, Any] = made["settings"]
    data = tuple(map(_data, settings.get("data") or ()))
    sampled_by = next((one.config.backbone.name for one in data if one.config), "")
    return RunFacts(
        run=run,
        settings=settings,
        base=str(settings.get("backbone") or sampled_by),
        base_weights=str(made.get("backbone_weights", "")),
        pairs_per_step=made.get("pairs_per_step"),
        summary=done or summary(run),
        data=data,
        ancestors=tuple(_ancestors(settings)),
    )


def _read_run(run: Path) -> Run:
    if not (run / RUN).is_file():
        raise ValueError(f"{str(run)!r} is no run folder; give one that sipo-train wrote")
    return read_run(run, "; take the folder from a copy")


def _data(text: str) -> Data:
    name = _short(text)
    try:
        folder = open_shards(text)
        return Data(name, folder.config, *_counts(folder))
    except (ValueError, OSError):  # moved away, or of another machine
        return Data(name)


def _counts(folder: ShardFolder) -> tuple[int, int]:
    """Pairs and candidates: of a whole folder as its summary has them, which is one file."""
    if folder.chosen is None and (folder.path / SUMMARY).is_file():
        told = read_json(folder.path / SUMMARY)
        return int(told["pairs"]), int(told["candidates"])
    numbers = folder.numbers
    pairs = sum(len(folder.pairs(number).samples) for number in numbers)
    return pairs, sum(len(folder.candidates(number).samples) for number in numbers)


def _ancestors(settings: dict[str, Any]) -> list[Ancestor]:
    found: list[Ancestor] = []
    while (before := settings.get("init_weights")) and len(found) < MOST_ANCESTORS:
        run = place_of(str(before))
        if not (run / RUN).is_file():
            found.append(Ancestor(_short(str(before)), "?", None, ()))
            break
        made = _read_run(run)
        settings = cast("dict[str, Any]", made["settings"])
        names = tuple(_short(str(text)) for text in settings.get("data") or ())
        done = made.get("steps")
        objective = str(settings.get("objective", "?"))
        found.append(Ancestor(_short(str(run)), objective, done, names))
    return found


def _short(text: str) -> str:
    """The end of a path that tells folders of a loop apart: round-1/shards, and no machine's."""
    path, chosen = split_shards(text)
    parts = Path(str(path)).parts
    keep = 2 if len(parts) > 1 and parts[-2].startswith("round-") else 1
    name = "/".join(parts[-keep:])
    return f"{name}, {len(chosen)} of its shards" if chosen else name
