"""Settings of a command whose work a Ray cluster can do."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import Literal

from pydantic import BaseModel

from sipo.common.settings import setting

Runner = Literal["local", "ray"]

RUNNER = partial(
    setting,
    "Machine",
    "Who does the work: this process, or workers in the Ray cluster that RAY_ADDRESS names; "
    "without that in one of this machine, started for the command.",
)
WORKERS = partial(
    setting,
    "Machine",
    "Sampling processes on a CPU, or workers of --runner ray.",
    also="actors",
    without="one a core; of ray as many as the cluster holds",
    ge=1,
)
_of_ray = partial(setting, "Machine", metavar="X", ge=0)
GPUS_PER_WORKER = partial(
    _of_ray,
    "Cards of a worker of --runner ray, or a part of one; 0 is one core instead.",
    without="1 where the cluster has cards",
)
JUDGE_GPUS = partial(
    _of_ray,
    "Give the judge workers of its own with --runner ray, each with so many cards; 0 is one core.",
    without="every sampling worker has its own judge",
)
JUDGE_WORKERS = partial(
    setting, "Machine", "Workers of --judge-gpus.", metavar="N", without="1", ge=1
)
TRIES = partial(
    setting,
    "Machine",
    "Times that --runner ray tries a piece of work which fails, before it ends the command.",
    without="3",
    ge=1,
)
OF_RAY = ("gpus_per_worker", "judge_gpus", "judge_workers", "tries")
MOST_TRIES = 3


def check_runner(settings: BaseModel) -> None:
    """Raises ValueError for settings of Ray without it, for parts of cards that it cannot give, and
    where it is not installed."""
    asked = {name: getattr(settings, name) for name in OF_RAY}
    given = [f"--{name.replace('_', '-')} {n:g}" for name, n in asked.items() if n is not None]
    if getattr(settings, "runner", None) != "ray":
        if given:
            raise ValueError(f"{given[0]} has no effect without --runner ray; leave it out")
        return
    if (devices := getattr(settings, "devices", "auto")) != "auto":
        raise ValueError(
            f"--devices {devices} has no effect with --runner ray, whose workers --workers counts; "
            "leave it out"
        )
    for name in ("gpus_per_worker", "judge_gpus"):
        cards = asked[name]
        if cards is not None and cards > 1 and cards % 1:
            raise ValueError(
                f"--{name.replace('_', '-')} {cards:g} is more than one card and no whole number "
                "of them; give 0.5, 1, 2, ..."
            )
    if asked["judge_workers"] is not None and asked["judge_gpus"] is None:
        raise ValueError(
            f"--judge-workers {asked['judge_workers']} has no effect without --judge-gpus, which "
            "gives the judge workers of its own; give both or none"
        )
    if find_spec("ray") is None:
        raise ValueError("--runner 'ray' needs the package ray; pip install 'sipo[ray]'")


def refuse_loaded(**given: object) -> None:
    """Raises ValueError for a model or judge that this process holds."""
    for name, loaded in given.items():
        if loaded is not None:
            raise ValueError(
                f"--runner 'ray' loads models in its workers, and {name} is one that is loaded "
                "here; give its name, or module:attribute of what makes it"
            )
