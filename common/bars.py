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

    Of several processes the first alone shows it. `numbers` puts those that matter next to it.
    """
    kind: type[Bar] = Bar if on_terminal() else Lines
    return kind(
        total=total,
        initial=done,
        desc=what,
        unit=unit,
        file=sys.stderr,
        dynamic_ncols=kind is Bar,
        leave=kind is Bar,
        disable=not (shown and shows_bars()),
    )


def numbers(shown: Bar, **found: str) -> None:
    """The numbers that matter, the first the most: a narrow terminal cuts off the last."""
    facts = ", ".join(f"{name} {number}" for name, number in found.items())
    shown.set_postfix_str(facts, refresh=False)


def say(text: str) -> None:
    """A line on standard error, above a bar where there is one."""
    tqdm.write(text, sys.stderr)


def on_terminal() -> bool:
    """Whether a line can be drawn again: on a terminal that says its size, and in a notebook."""
    if "ipykernel" in sys.modules:
        return True
    if not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        return False
    try:
        return all(os.get_terminal_size(sys.stderr.fileno()))
    except (OSError, ValueError):
        return False


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
    """Of tqdm's `format_dict`: "Candidates: 640 of 1,920 img, 33 %, 14.1 img/s, 91 s left"."""
    count, begun = _whole(facts["n"]), _whole(facts["initial"])
    total = None if facts["total"] is None else _whole(facts["total"])
    unit, passed = str(facts["unit"]).strip(), float(str(facts["elapsed"]))
    mean = (count - begun) / passed if passed else 0.0
    parts = []
    if total is None or count >= total:
        parts += [f"{count:,} {unit} in {duration(passed)}", _pace(mean, unit)]
    else:
        rate = float(str(facts["rate"] or mean))
        parts += [f"{count:,} of {total:,} {unit}, {100 * count // total} %", _pace(rate, unit)]
        parts += [f"{duration((total - count) / rate)} left"] if rate else []
    parts += [str(facts["postfix"])] if facts["postfix"] else []
    what = str(facts["prefix"]).removesuffix(": ")
    return f"{what}: {', '.join(filter(None, parts))}"


def _pace(rate: float, unit: str) -> str:
    """ "14.1 img/s", "3.2 s/img"; "" of none."""
    if rate <= 0:
        return ""
    if rate < 1:
        return f"{1 / rate:.3g} s/{unit.removesuffix('s')}"
    return f"{rate:,.0f} {unit}/s" if rate >= 100 else f"{rate:.3g} {unit}/s"


def _whole(number: object) -> int:
    return int(str(number))
