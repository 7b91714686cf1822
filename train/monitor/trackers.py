"""What a run tells TensorBoard, Weights & Biases and Trackio, each by accelerate's class of it.

All of it lies in the run folder too: the rows of log.jsonl, the sheets of validation. So a tracker
gets from there what it has not had, and nothing twice: it is asked for the last step it has where
it can tell (W&B with its server, Trackio), else `trackers.json` says where each start of the run
found it. Steps that are in a tracker and not in the log, because the run was killed and went back
to its checkpoint, are computed once more, to the same figures, and are not told again.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np
from PIL import Image

from sipo.common.errors import reason_of
from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text
from sipo.common.files.writing import write_text
from sipo.train.monitor.log_rows import Row
from sipo.train.monitor.report_to import names_of
from sipo.train.monitor.validation_sheet import sheet_of

FILE = "trackers.json"
EVENTS = "logs"  # TensorBoard's folder in the run's
_STAGE = re.compile(r"(train|round)(-\d+)*")
"""Folders of a loop, whose names alone tell no run from another."""
Pictures = Callable[[Image.Image], list[tuple[str, Image.Image]]]
"""Cuts a sheet into pictures with their prompts."""


class Told(TypedDict):
    """Of a tracker, as `trackers.json` has it when a start of the run begins."""

    id: str
    next: int  # the first step that it has not had
    on: bool  # whether that start told it


class Trackers:
    """Those of `--report_to`, which have all rows until now when it is made."""

    def __init__(
        self,
        out: Path,
        report_to: str,
        project: str,
        config: Mapping[str, object],
        rows: Sequence[Row],
        last_row: int,
        step: int,
        pictures: Pictures,
    ) -> None:
        """`rows` are those of the log after it was cut back to `step`, which a run goes on from;
        `last_row` is the step of its last before. Raises ValueError where a tracker does not start.
        """
        self.out, self.pictures = out, pictures
        told = _where_they_are(out, names_of(report_to), last_row, bool(step) or not last_row)
        self.next = {name: told[name]["next"] for name in names_of(report_to)}
        self.trackers: dict[str, Any] = {}
        for name in self.next:
            try:
                self._start(name, project, config, told[name]["id"], step)
            except Exception as error:  # whatever it raises: of its settings, its keys, its server
                raise ValueError(
                    f"--report_to {name}: it does not start ({reason_of(error)}); mend that, or "
                    "leave it out: the same command can name it later, and it gets the whole log"
                ) from error
        for name in self.next:
            told[name]["next"] = self.next[name]
        if told:
            write_text(out / FILE, json.dumps(told, indent=1))
        for row in rows:
            self.write(row)

    def _start(
        self, name: str, project: str, config: Mapping[str, object], run_id: str, step: int
    ) -> None:
        from accelerate.tracking import LOGGER_TYPE_TO_CLASS

        kind = LOGGER_TYPE_TO_CLASS[name]
        new = self.next[name] <= 1
        if name == "tensorboard":
            has_events = (self.out / EVENTS).is_dir()  # beyond, its own purge takes them back
            self.next[name] = step + 1 if new and has_events else min(self.next[name], step + 1)
            tracker = kind("", str(self.out / EVENTS), purge_step=self.next[name])
        else:
            tracker = kind(project, **_identity(name, self.out, run_id))
        with contextlib.redirect_stdout(sys.stderr):
            tracker.start()
            if name != "tensorboard" or (new and not step):
                tracker.store_init_configuration(_flat(config))
        known = _next_step_of(name, tracker.tracker)
        self.next[name] = self.next[name] if known is None else known
        self.trackers[name] = tracker

    def write(self, row: Row) -> None:
        """To each that has not had it. One that fails is left alone from then on."""
        for name, tracker in list(self.trackers.items()):
            if row["step"] < self.next[name]:
                continue
            try:
                _send(name, tracker, row, sheet_of(self.out, row), self.pictures)
                self.next[name] = row["step"] + 1
            except Exception as error:  # training is worth more than its picture elsewhere
                del self.trackers[name]
                print(
                    f"warning: {name} takes no more ({reason_of(error)}); log.jsonl has all, and "
                    "a start of the same command tells it what it missed",
                    file=sys.stderr,
                )

    def close(self) -> None:
        for tracker in self.trackers.values():
            with contextlib.redirect_stdout(sys.stderr):
                tracker.finish()


def _where_they_are(
    out: Path, names: Sequence[str], last_row: int, goes_on: bool
) -> dict[str, Told]:
    """Of every tracker that this run has told or will tell."""
    told = _read(out / FILE) if goes_on else {}
    for name, entry in told.items():
        if entry["on"]:
            entry["next"] = max(entry["next"], last_row + 1)
        entry["on"] = name in names
    for name in names:
        told.setdefault(name, Told(id=uuid.uuid4().hex[:8], next=1, on=True))
    return told


def _read(path: Path) -> dict[str, Told]:
    if not path.is_file():
        return {}
    try:
        return {
            str(name): Told(id=str(row["id"]), next=int(row["next"]), on=bool(row["on"]))
            for name, row in dict(load_json(read_text(path))).items()
        }
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged ({reason_of(error)}); remove it, and trackers begin a run "
            "of their own"
        ) from None


def run_name(out: Path) -> str:
    """runs/sd15 -> sd15; runs/demo/round-1/train -> demo-round-1-train."""
    parts = list(out.resolve().parts)
    first = len(parts) - 1
    while first > 1 and _STAGE.fullmatch(parts[first]):
        first -= 1
    return "-".join(parts[first:])


def _identity(name: str, out: Path, run_id: str) -> dict[str, object]:
    """So that another start of the run is the tracker's same run."""
    if name == "trackio":  # it knows runs by their names
        return {"name": f"{run_name(out)}-{run_id}", "resume": "allow"}
    offline = os.environ.get("WANDB_MODE", "").lower() == "offline"
    asked: dict[str, object] = {"name": run_name(out), "id": run_id, "dir": str(out)}
    return asked if offline else {**asked, "resume": "allow"}


def _next_step_of(name: str, run: Any) -> int | None:
    """What the tracker says itself; None where it does not know."""
    if name == "trackio":
        found = getattr(run, "_next_step", None)
        return found if isinstance(found, int) else None
    if name == "wandb" and getattr(run, "resumed", False):
        return int(run.step)
    return None


def _flat(config: Mapping[str, object]) -> dict[str, object]:
    """As every tracker takes it; without what was not given."""
    plain: dict[str, object] = {}
    for name, value in config.items():
        if isinstance(value, list | tuple):
            plain[name] = ", ".join(map(str, value))
        elif value not in (None, ""):
            plain[name] = value if isinstance(value, bool | int | float) else str(value)
    return plain


def values_of(row: Row) -> dict[str, float | str]:
    """Names as they always were in TensorBoard: train/loss, w_by_t/3, validation/overall."""
    values: dict[str, float | str] = {}
    for name, value in row.items():
        if isinstance(value, list) and name != "warnings":
            parts = enumerate(value)
            values |= {f"{name}/{place}": part for place, part in parts if part is not None}
        elif isinstance(value, int | float) and name != "step":
            values[f"train/{name}"] = value
    for name, value in row.get("validation", {}).items():
        if isinstance(value, int | float):
            values[f"validation/{name}"] = value
    if "warnings" in row:
        values["warnings"] = "\n\n".join(row["warnings"])
    return values


def _send(name: str, tracker: Any, row: Row, sheet: Path | None, pictures: Pictures) -> None:
    """A row with its pictures in one go, so that a tracker has all of a step or nothing."""
    values: dict[str, Any] = {**values_of(row)}
    grid = _image(sheet) if sheet else None
    if name == "tensorboard":
        tracker.log(values, step=row["step"])
        if grid is not None:
            whole = {"validation/grid": np.asarray(grid)[None]}
            tracker.log_images(whole, step=row["step"], dataformats="NHWC")
        return
    if grid is not None:
        if name == "wandb":
            from wandb import Image as Shown
        else:
            from trackio import Image as Shown
        values["validation/grid"] = Shown(grid, caption=f"step {row['step']}")
        single = [Shown(image, caption=text) for text, image in pictures(grid)]
        if name == "wandb":
            values["validation/images"] = single
        else:  # it takes no lists of them
            values |= {f"validation/image-{place}": each for place, each in enumerate(single)}
    # Or W&B would keep a row back until the next one, and lose it when the run is killed.
    at_once = {"commit": True} if name == "wandb" else {}
    tracker.log(values, step=row["step"], **at_once)


def _image(path: Path) -> Image.Image:
    with Image.open(path) as image:
        return image.convert("RGB")
