"""`sipo doctor`: what this machine has for the work, what is missing, and how to mend it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING

import click

from sipo.common.commands import Command
from sipo.common.last_words import JSON, end
from sipo.common.options import settings_options
from sipo.common.settings import StrictModel, setting

if TYPE_CHECKING:
    from sipo.checks import Check

STATES = {"ok": "ok  ", "note": "note", "stop": "STOP"}


class DoctorSettings(StrictModel):
    out: Path = setting(
        "Output", "Folder where shards and runs will lie: its disk is tried.", Path(".")
    )


@click.command("doctor", cls=Command, example="sipo doctor --out /data/runs")
@settings_options(DoctorSettings)
@JSON
def doctor(settings: DoctorSettings) -> None:
    """Look at versions, devices, weights, disk, extras and the model hub; say what to mend.

    Exit code 1 where something stops the main job, the embedded loop. Writes nothing that stays.
    """
    from sipo.checks import all_checks

    found = list(all_checks(settings.out))
    stops = [check for check in found if check.state == "stop"]
    facts = {"ok": not stops, "checks": [check.to_dict() for check in found]}
    end(facts, list(_lines(found)), "" if stops else "sipo-loop --dry-run")
    if stops:
        click.get_current_context().exit(1)


def _lines(found: Sequence[Check]) -> Iterator[str]:
    width = max(len(check.name) for check in found)
    for check in found:
        yield _wrapped(f"{STATES[check.state]}  {check.name:{width}}  ", check.found)
    if mend := [check for check in found if check.mend]:
        yield "\nTo mend:"
        yield from (_wrapped(f"  {check.name}: ", check.mend) for check in mend)
    stops = sum(check.state == "stop" for check in found)
    yield f"\n{stops} of these stop the work." if stops else "\nNothing stops the work."


def _wrapped(before: str, text: str) -> str:
    columns = get_terminal_size((100, 24)).columns
    return fill(
        before + text,
        max(60, columns - 1),
        subsequent_indent=" " * len(before),
        break_long_words=False,
        break_on_hyphens=False,
    )
