"""What the tables of evaluations share: intervals, rows of differences, reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from sipo.common.statistics import FEWEST, Difference, Interval

NONE = "none"
"""In the place of an interval."""


class _Explained(Protocol):
    """What has an interval, or a reason why not."""

    @property
    def no_interval(self) -> str | None: ...


def compared(
    rows: Mapping[str, Difference], wide: int, beside: Mapping[str, Difference] | None = None
) -> list[str]:
    """`beside` are no shares, and larger."""
    lines = [f"{'':{wide}}{'A':>8}{'B':>8}{'B - A':>9}{'95 % interval':>20}"]
    lines += [_row(name, row, wide) for name, row in rows.items()]
    lines += [_row(name, row, wide, digits=1) for name, row in (beside or {}).items()]
    lines.append(f"* the interval excludes 0 (paired by prompt, {FEWEST} prompts or more)")
    return lines + reasons(rows.values())


def _row(name: str, row: Difference, wide: int, digits: int = 3) -> str:
    values = f"{row.a:>8.{digits}f}{row.b:>8.{digits}f}{row.difference:>+9.{digits}f}"
    return f"{name:{wide}}{values}{signed(row.interval, digits):>20}{' *' * row.clear}"


def reasons(rows: Iterable[_Explained]) -> list[str]:
    """Why there are intervals missing, each reason once."""
    found = dict.fromkeys(row.no_interval for row in rows if row.no_interval)
    return [f"No interval where it says {NONE}: {reason}." for reason in found]


def signed(interval: Interval | None, digits: int = 4) -> str:
    if interval is None:
        return NONE
    return f"[{interval[0]:+.{digits}f}, {interval[1]:+.{digits}f}]"


def bounds(interval: Interval | None, digits: int) -> str:
    if interval is None:
        return NONE
    return f"[{interval[0]:.{digits}f}, {interval[1]:.{digits}f}]"
