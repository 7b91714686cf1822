"""How work shows that it goes on: one bar on a terminal, a plain line now and then elsewhere.

Whether it is a terminal is decided here and nowhere else, so that a log of CI, of nohup or of Slurm
has lines and no carriage returns.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from tqdm import tqdm

from sipo.common.amounts import duration
from sipo.common.processes import shows_bars

if TYPE_CHECKING:
    Bar = tqdm[NoReturn]
else:
    Bar = tqdm

LINE_S = 30.0
"""Between two lines of one bar, where there is no terminal."""


def bar(total: int | None, what: str, unit: str, done: int = 0, shown: bool = True) -> Bar:
    """Over `total` pieces of which `done` are done; closed by `with`. None is not known.

    Of several processes the first alone shows it. `set_postfix(correct="0.61", refresh=False)` are
    the numbers that matter beside it.
    """
    kind: type[Bar] = Bar if on_terminal() else Lines
    return kind(
        total=total,
        initial=done,
        desc=what,
        unit=f" {unit}",
        file=sys.stderr,
        dynamic_ncols=kind is Bar,
        leave=kind is Bar,
        disable=not (shown and shows_bars()),
    )


def say(text: str) -> None:
    """A line on standard error, above a bar where there is one."""
    tqdm.write(text, sys.stderr)


def on_terminal() -> bool:
    """Whether a line can be drawn again: on a terminal, and in a notebook."""
    dumb = os.environ.get("TERM") == "dumb"
    return (sys.stderr.isatty() and not dumb) or "ipykernel" in sys.modules


class Lines(Bar):
    """As tqdm counts, and said in lines: one every `LINE_S` seconds, one at the end."""

    _said = float("-inf")

    def __init__(self, **asked: object) -> None:
        self._said = time.monotonic()
        super().__init__(**asked)  # type: ignore[call-overload]

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:  # type: ignore[override]
        if msg is None and time.monotonic() - self._said >= LINE_S:
            self._write()
        return False

    def clear(self, nolock: bool = False) -> None:
        """There is nothing that could be taken back."""

    def close(self) -> None:
        if not getattr(self, "disable", True) and self.n > self.initial:
            self._write()
        super().close()

    def _write(self) -> None:
        self._said = time.monotonic()
        self.fp.write(line(self.format_dict) + "\n")
        self.fp.flush()


def line(facts: Mapping[str, object]) -> str:
    """Of tqdm's `format_dict`: "Candidates: 640 of 1,920 img, 33 %, 14 img/s, 91 s left"."""
    count, total, unit = _whole(facts["n"]), facts["total"], facts["unit"]
    passed, begun = float(str(facts["elapsed"])), _whole(facts["initial"])
    ended = total is None or count >= _whole(total)
    mean = (count - begun) / passed if passed else 0.0
    rate = mean if ended or not facts["rate"] else float(str(facts["rate"]))
    parts = [f"{count:,}{unit}" if ended else f"{count:,} of {_whole(total):,}{unit}"]
    if ended:
        parts[0] += f" in {duration(passed)}"
    else:
        parts.append(f"{100 * count // _whole(total)} %")
    if rate > 0:
        parts.append(
            f"{rate:.3g}{unit}/s" if rate >= 1 else f"{1 / rate:.3g} s/{str(unit).strip()}"
        )
    if rate > 0 and not ended:
        parts.append(f"{duration((_whole(total) - count) / rate)} left")
    if facts["postfix"]:
        parts.append(str(facts["postfix"]))
    what = str(facts["prefix"]).removesuffix(": ")
    return f"{what}: {', '.join(parts)}"


def _whole(number: object) -> int:
    return int(str(number))
