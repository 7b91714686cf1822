"""Checkpoints and the files of a run folder; every write is complete or not there at all.

A run folder holds settings.yaml (what was asked for), run.json (what a later start must agree
with), checkpoint-N/ (the policy after step N, state.pt, and `complete`, written last), the policy
and summary.json, written last of all: the run is finished.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from sipo.train.settings import FREE_TO_CHANGE, Settings

COMPLETE = "complete"
RUN, SUMMARY = "run.json", "summary.json"
BEST, STEP = "best", "step"
MADE_OF = {
    "pairs_per_step": "--train_batch_size times --gradient_accumulation_steps times processes"
}


def write_text(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_text(text)
    os.replace(beside, path)


def checkpoints(out: Path) -> list[Path]:
    """The complete ones, oldest first."""
    return sorted((mark.parent for mark in out.glob(f"checkpoint-*/{COMPLETE}")), key=step_of)


def step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def new_checkpoint(out: Path, state: dict[str, Any], save_policy: Any, limit: int | None) -> Path:
    """Written beside and renamed; then the oldest beyond `limit` go."""
    folder = out / f"checkpoint-{state['step']}"
    beside = out / f".{folder.name}.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_policy(beside)
    torch.save(state, beside / "state.pt")
    (beside / COMPLETE).touch()
    shutil.rmtree(folder, ignore_errors=True)  # incomplete, or of a run that went back
    os.replace(beside, folder)
    for old in checkpoints(out)[: -limit if limit else 0]:
        (old / COMPLETE).unlink()
        shutil.rmtree(old)
    return folder


def keep_best(out: Path, step: int, save_policy: Any) -> None:
    """`best/`: the policy that did best in validation so far, and the step it is of."""
    beside = out / ".best.tmp"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save_policy(beside)
    (beside / STEP).write_text(str(step))
    shutil.rmtree(out / BEST, ignore_errors=True)
    os.replace(beside, out / BEST)


def publish_best(out: Path) -> int:
    """Copy it to the top of the run folder; returns its step."""
    for saved in (out / BEST).iterdir():
        if saved.name == STEP:
            continue
        target, beside = out / saved.name, out / f".{saved.name}.tmp"
        if saved.is_dir():
            shutil.copytree(saved, beside, dirs_exist_ok=True)
            shutil.rmtree(target, ignore_errors=True)
        else:
            shutil.copy(saved, beside)
        os.replace(beside, target)
    return int((out / BEST / STEP).read_text())


def is_finished(out: Path, resume: Path | None, steps: int, stop_on_collapse: bool) -> bool:
    """All steps are done, or it was stopped and would be again."""
    if resume is None or not (done := summary(out)):
        return False
    return step_of(resume) >= steps or (stop_on_collapse and bool(done.get("stopped")))


def load_state(checkpoint: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(
        checkpoint / "state.pt", map_location="cpu", weights_only=True
    )
    return state


def checkpoint_to_resume(out: Path, settings: Settings) -> Path | None:
    """The newest checkpoint of the run, or the one that was named."""
    if settings.resume_from_checkpoint == "latest":
        return next(reversed(checkpoints(out)), None)
    wanted = Path(settings.resume_from_checkpoint)
    found = [path for path in checkpoints(out) if path.name == wanted.name]
    if not found or (wanted.is_absolute() and wanted.parent.resolve() != out.resolve()):
        names = ", ".join(path.name for path in checkpoints(out)) or "none"
        raise ValueError(
            f"--resume_from_checkpoint {str(wanted)!r} is no complete checkpoint of {str(out)!r}; "
            f"there: {names}. (To start from another run's policy, use --init_weights.)"
        )
    return found[0]


def open_run(out: Path, settings: Settings, facts: dict[str, Any]) -> None:
    """Create the run folder, or refuse it where it has checkpoints of other settings or data.

    `facts` are what the weights depend on beside the settings: data, backbone, length.
    """
    facts = {"settings": settings.model_dump(mode="json"), **facts}
    ours = (RUN, "weights.json", "weights.png", "curves.png", "curves.html")
    if (out / RUN).is_file() and checkpoints(out):
        before = json.loads((out / RUN).read_text())
        for name, value in _comparable(facts).items():
            was = _comparable(before).get(name)
            if was != value:
                raise ValueError(
                    f"{MADE_OF.get(name, name)} is {value!r}, but run {str(out)!r} was started "
                    f"with {was!r}; give that value to go on, or another --out"
                )
    foreign = [p.name for p in out.glob("[!.]*") if p.name not in ours]
    if foreign and not (out / RUN).is_file():
        raise ValueError(
            f"--out {str(out)!r} holds {foreign[0]!r} and is no run folder; give a new one"
        )
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / RUN, json.dumps(facts, indent=1))
    write_text(out / "settings.yaml", _yaml(settings))


def _comparable(facts: dict[str, Any]) -> dict[str, Any]:
    """Settings that matter as '--name', then the other facts; without those that may change.

    A setting that is younger than the run had its default.
    """
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    settings = defaults | facts["settings"]
    flags = {f"--{key}": value for key, value in settings.items() if key not in FREE_TO_CHANGE}
    others = {key: value for key, value in facts.items() if key not in ("settings", "steps")}
    if settings["lr_scheduler"] in ("cosine", "linear"):  # their learning rate knows the end
        others["steps"] = facts["steps"]
    return flags | others


def _yaml(settings: Settings) -> str:
    import yaml

    given = settings.model_dump(mode="json", exclude_none=True)
    return str(yaml.safe_dump(given, sort_keys=False))


def summary(out: Path) -> dict[str, Any]:
    """Of a finished run; empty for any other."""
    path = out / SUMMARY
    return dict(json.loads(path.read_text())) if path.is_file() else {}


def write_summary(out: Path, content: dict[str, Any]) -> None:
    write_text(out / SUMMARY, json.dumps(content, indent=1))
