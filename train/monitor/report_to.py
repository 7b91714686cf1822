"""`--report_to`: the trackers that a run can tell, by name; nothing here loads one."""

from __future__ import annotations

from importlib.util import find_spec

TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "trackio": "trackio"}
"""Name, as accelerate has it -> the package."""
ALL, NOBODY = "all", "none"


def names_of(report_to: str) -> list[str]:
    """ "wandb, trackio" -> ["wandb", "trackio"]; all: those that are installed; none: [].

    Raises ValueError for a name that is none.
    """
    names = [name.strip() for name in report_to.split(",")]
    for name in names:
        if name not in (*TRACKERS, ALL, NOBODY):
            raise ValueError(
                f"{name!r} is no tracker; give {', '.join(TRACKERS)} with commas, or {ALL}, or "
                f"{NOBODY}"
            )
    if len(names) > 1 and NOBODY in names:
        raise ValueError(f"{NOBODY!r} is alone; leave it out, or the others")
    if ALL in names:
        return [name for name in TRACKERS if _is_installed(name)]
    return [name for name in TRACKERS if name in names]


def require_trackers(report_to: str) -> None:
    """Raises ValueError for a tracker that is named and not installed."""
    for name in names_of(report_to):
        if not _is_installed(name):
            raise ValueError(
                f"--report_to {report_to!r} needs {TRACKERS[name]}; pip install 'sipo[{name}]', or "
                "leave it out"
            )


def _is_installed(name: str) -> bool:
    return find_spec(TRACKERS[name]) is not None
