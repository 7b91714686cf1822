"""Checkpoints and the files of a run folder; every write is complete or not there at all.

A run folder holds settings.yaml (what was asked for), run.json (what a later start must agree
with), checkpoint-N/ (the policy after step N, state.pt, state.safetensors, and `complete`, written
last), the policy and summary.json, written last of all: the run is finished.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from sipo.backbones.base import Provenance
from sipo.common.errors import reason_of
from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text
from sipo.common.files.torch_files import read_torch
from sipo.common.files.working_folders import WorkingFolder
from sipo.common.files.writing import write_text
from sipo.common.files.yaml_files import to_yaml
from sipo.common.resume_guard import first_difference, refuse
from sipo.train.checkpoint_tensors import TENSORS, put_back
from sipo.train.monitor.log_rows import Row
from sipo.train.settings import FREE_TO_CHANGE, TrainSettings

COMPLETE, STATE = "complete", "state.pt"
BETWEEN = "between"
"""Marks a checkpoint between those of --checkpointing_steps: it goes when a newer one is there."""
RUN, SUMMARY = "run.json", "summary.json"
BEST, STEP = "best", "step"
OPTIONS_OF_FACTS = {
    "pairs_per_step": "--train_batch_size times --gradient_accumulation_steps times processes",
    "objective": "the source of --objective",
    "backbone": "the source of --backbone",
}
_NAME = re.compile(r"checkpoint-(\d+)")
SavePolicy = Callable[[Path | None], object]
"""Writes the policy into a folder; without one this process only gives its share of it."""


class Facts(TypedDict):
    """What the weights depend on beside the settings."""

    data: str  # a hash
    backbone_weights: str  # a hash
    steps: int
    pairs_per_step: int
    objective: NotRequired[Provenance]  # where it is from outside
    backbone: NotRequired[Provenance]  # where it is from outside


class Run(Facts):
    """run.json."""

    settings: dict[str, object]


@dataclass(frozen=True)
class RunSummary:
    """A finished run, as summary.json has it."""

    out: str
    steps: int
    pairs_seen: int
    epochs: float
    policy_of_step: int | None = None
    """After which step the policy was as it is saved; None where an older run does not say."""
    warnings: Sequence[str] = ()
    """Each cause once, with the steps at which it was seen."""
    stopped: bool = False
    """Before the last step by --stop_on_collapse, --stop_on_winner_error or --stop_on_nan."""
    not_finite: str = ""
    """Why --stop_on_nan ended it: the step whose loss was not finite, and its pairs."""
    last: Row | None = None
    """Of log.jsonl; None where the log was taken away."""

    def to_dict(self) -> dict[str, object]:
        return {**vars(self), "last": self.last or {}}


def run_folder(settings: TrainSettings) -> WorkingFolder:
    """--out. Of what goes to a store a checkpoint's mark and the summary are last."""
    return WorkingFolder(settings.out, _how_late)


def _how_late(name: str) -> int:
    return 2 if name == SUMMARY else 1 if name.rpartition("/")[2] in (COMPLETE, STEP) else 0


def checkpoints(out: Path) -> list[Path]:
    """The complete ones, oldest first. Copies by another name are none."""
    named = (path for path in out.glob("checkpoint-*") if _NAME.fullmatch(path.name))
    return sorted((path for path in named if (path / COMPLETE).exists()), key=step_of)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def is_due(settings: TrainSettings, step: int, last: int) -> bool:
    """Whether --checkpointing_steps, or the end of the run, asks for one after this step."""
    return step % settings.checkpointing_steps == 0 or step == last


def new_checkpoint(
    out: Path, step: int, write: SavePolicy, limit: int | None, between: bool = False
) -> Path:
    """Written beside and renamed; then those between, and the oldest beyond `limit`, go."""
    folder = out / f"checkpoint-{step}"
    beside = out / f".{folder.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    write(beside)
    if between:
        (beside / BETWEEN).touch()
    _to_disk(beside)
    (beside / COMPLETE).touch()
    shutil.rmtree(folder, ignore_errors=True)  # incomplete, or of a run that went back
    os.replace(beside, folder)
    others = [path for path in checkpoints(out) if path != folder]
    passed = [path for path in others if (path / BETWEEN).exists()]
    lasting = [path for path in others if path not in passed]
    for old in passed + (lasting[: max(0, len(lasting) + 1 - limit)] if limit else []):
        _remove(old)
    return folder


def _remove(checkpoint: Path) -> None:
    (checkpoint / COMPLETE).unlink()
    shutil.rmtree(checkpoint)


def _to_disk(folder: Path) -> None:
    """So that a machine that loses its power leaves no empty files under a complete name."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def keep_best(out: Path, step: int, save_policy: SavePolicy) -> None:
    """`best/`: the policy that did best in validation so far, and the step it is of."""
    beside = out / ".best.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_policy(beside)
    write_text(beside / STEP, str(step))
    shutil.rmtree(out / BEST, ignore_errors=True)
    os.replace(beside, out / BEST)


def publish_best(out: Path) -> int:
    """Copy it to the top of the run folder; returns its step."""
    publish(out, out / BEST)
    return best_step(out)


def publish(out: Path, kept: Path) -> None:
    """Copy the policy of `best/` or of a checkpoint to the top of the run folder."""
    for saved in kept.iterdir():
        if saved.name in (STEP, STATE, TENSORS, COMPLETE, BETWEEN):
            continue
        target, beside = out / saved.name, out / f".{saved.name}.tmp"
        if saved.is_dir():
            shutil.copytree(saved, beside, dirs_exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
        else:
            shutil.copy(saved, beside)
        os.replace(beside, target)


def best_step(out: Path) -> int:
    """Of what `keep_best` kept. Raises ValueError where it is gone or damaged."""
    path = out / BEST / STEP
    try:
        return int(read_text(path))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged ({reason_of(error)}), so --keep_best does not know what it "
            f"kept; {_go_back(out)}"
        ) from None


def finished(
    out: Path, resume: Path | None, steps: int, settings: TrainSettings
) -> RunSummary | None:
    """Where all steps are done, or it was stopped and would be again."""
    if resume is None or (done := summary(out)) is None:
        return None
    limit, last = settings.stop_on_winner_error, done.last
    grown = limit is not None and last is not None and last.get("winner_growth", 0.0) > limit
    again = settings.stop_on_collapse or grown or (settings.stop_on_nan and done.not_finite)
    return done if step_of(resume) >= steps or (again and done.stopped) else None


def load_state(checkpoint: Path, check: bool = True) -> dict[str, object]:
    """Tensors of files beside state.pt are still to be read; `check` reads them once, for damage.

    Raises ValueError for a damaged one, naming the newest before it that is whole.
    """
    try:
        return _read_state(checkpoint, check)
    except ValueError as error:
        remedy = f"give another --out, or remove {str(checkpoint)!r} to start again"
        for older in reversed(checkpoints(checkpoint.parent)):
            if step_of(older) < step_of(checkpoint) and _is_whole(older):
                remedy = f"go on from the one before: --resume_from_checkpoint {older}"
                break
        raise ValueError(f"{error}; {remedy}") from None


def _read_state(checkpoint: Path, check: bool = True) -> dict[str, object]:
    path = checkpoint / STATE
    try:
        state = read_torch(path, archive=True)
    except ValueError as error:
        raise ValueError(f"checkpoint {str(path)!r} is damaged ({error})") from None
    if not isinstance(state, dict) or state.get("step") != step_of(checkpoint):
        raise ValueError(f"checkpoint {str(path)!r} is not of step {step_of(checkpoint)}")
    put_back(state, checkpoint, check)
    return state


def _is_whole(checkpoint: Path) -> bool:
    try:
        _read_state(checkpoint)
    except ValueError:
        return False
    return True


def _go_back(out: Path) -> str:
    """What is left when the folder no longer knows what the run was."""
    newest = next(reversed(checkpoints(out)), None)
    start = f", and --init_weights {newest} to start from its newest policy" if newest else ""
    return f"give another --out{start}"


def checkpoint_to_resume(out: Path, settings: TrainSettings) -> Path | None:
    """The newest checkpoint of the run, or the one that was named: by its name alone, or by a
    path to this run's folder.
    """
    if settings.resume_from_checkpoint == "latest":
        return next(reversed(checkpoints(out)), None)
    wanted = Path(settings.resume_from_checkpoint)
    here = len(wanted.parts) == 1 or wanted.parent.resolve() == out.resolve()
    found = [path for path in checkpoints(out) if path.name == wanted.name]
    if not found or not here:
        names = ", ".join(path.name for path in checkpoints(out)) or "none"
        raise ValueError(
            f"--resume_from_checkpoint {settings.resume_from_checkpoint!r} is no complete "
            f"checkpoint of {str(out)!r}; there: {names}. (To start from another run's policy, use "
            "--init_weights.)"
        )
    return found[0]


def open_run(out: Path, settings: TrainSettings, facts: Facts) -> None:
    """Create the run folder, or refuse it where it has checkpoints of other settings or data."""
    run = Run(settings=settings.model_dump(mode="json"), **facts)
    ours = (RUN, "weights.json", "weights.png", "curves.png", "curves.html")
    if (out / RUN).is_file() and checkpoints(out):
        remedy = ", so nobody knows whether this command is the one that made the checkpoints; "
        before = read_run(out, remedy + _go_back(out))
        if settings.steps_per_folder and _begin_alike(before["data"], facts["data"]):
            before["data"] = facts["data"]
        sides = _comparable(before), _comparable(run)
        if difference := first_difference(*sides, among="asked"):
            setting = difference.name.partition(".")[0]
            refuse(out, OPTIONS_OF_FACTS.get(setting, difference.name), difference)
    foreign = [p.name for p in out.glob("[!.]*") if p.name not in ours]
    if foreign and not (out / RUN).is_file():
        raise ValueError(
            f"--out {str(out)!r} holds {foreign[0]!r} and is no run folder; give a new one"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RUN, json.dumps(run, indent=1))
    given = settings.model_dump(mode="json", exclude_none=True)
    write_text(out / "settings.yaml", to_yaml(given))


def _begin_alike(before: str, now: str) -> bool:
    """Whether one has the data of the other and more to come: hashes with spaces between."""
    pairs = zip(before.split(), now.split(), strict=False)
    return all(one == other for one, other in pairs)


def read_run(out: Path, remedy: str) -> Run:
    """What run.json says. Raises ValueError for a damaged one, which ends with the remedy."""
    try:
        content = load_json(read_text(out / RUN))
        if not isinstance(content["settings"], dict):
            raise TypeError("no settings in it")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{str(out / RUN)!r} is damaged ({reason_of(error)}){remedy}") from None
    return cast(Run, content)


def _comparable(run: Run) -> dict[str, object]:
    """Settings that matter as '--name', then the other facts; without those that may change.

    A setting that is younger than the run had its default.
    """
    defaults = {name: field.default for name, field in TrainSettings.model_fields.items()}
    settings = defaults | run["settings"]
    flags = {f"--{key}": value for key, value in settings.items() if key not in FREE_TO_CHANGE}
    others = {key: value for key, value in run.items() if key not in ("settings", "steps")}
    if settings["lr_scheduler"] in ("cosine", "linear"):  # their learning rate knows the end
        others["steps"] = run["steps"]
    return flags | others


def summary(out: Path) -> RunSummary | None:
    """Of a finished run; None for any other. Raises ValueError for a damaged one."""
    path = out / SUMMARY
    if not path.is_file():
        return None
    try:
        content = dict(load_json(read_text(path)))
        return RunSummary(**content | {"last": content.get("last") or None})
    except (ValueError, TypeError) as error:
        raise ValueError(
            f"{str(path)!r} is damaged ({reason_of(error)}); remove it, and the same command again "
            "writes it"
        ) from None


def summary_of(out: Path) -> RunSummary:
    """Of a run that has just finished."""
    found = summary(out)
    assert found is not None
    return found


def write_summary(out: Path, content: RunSummary) -> None:
    write_text(out / SUMMARY, json.dumps(content.to_dict(), indent=1))
