"""`sipo-train plot`: the curves of one or several runs as PNG, and one page around it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Literal

from sipo.common.files.writing import write_text
from sipo.pages.charts import SERIES, Chart, Line, binned, svg, write_png
from sipo.pages.html import render
from sipo.train.monitor.health import diagnose_run
from sipo.train.monitor.log_rows import Row, read_rows
from sipo.train.monitor.metrics import OF_REFERENCE

Rewards = Literal["psi_w", "psi_l", "margin", "growth_w", "growth_l"]
Panel = Rewards | Literal["gradient_factor", "keep", "implicit_acc", "grad_norm"]
PANELS: dict[str, Panel] = {
    "Reward of winners (psi_w)": "psi_w",
    "Reward of losers (psi_l)": "psi_l",
    "Gap (psi_w - psi_l)": "margin",
    "Error of winners over the reference's": "growth_w",
    "Error of losers over the reference's": "growth_l",
    "Gradient factor sigma(-z)": "gradient_factor",
    "Share of pairs kept": "keep",
    "Implicit accuracy": "implicit_acc",
    "Gradient norm": "grad_norm",
}
Seen = Literal["overall", "empty_share", "sharpness", "single_object_confidence"]
LOOKS: dict[str, Seen] = {
    "Validation: Overall": "overall",
    "Validation: empty images": "empty_share",
    "Validation: sharpness": "sharpness",
    "Validation: confidence on single objects": "single_object_confidence",
}
"""Of validation. The last three tell a picture that decays from one that errs."""
GROWTH = ("growth_w", "growth_l")
ERRORS = ("error_w", "error_l", "ref_error_w", "ref_error_l")
UNKNOWN = {*OF_REFERENCE, "gradient_factor"}
"""Columns that a run without a reference may lack."""
AROUND_ZERO = list(PANELS)[:5]
COLUMNS = 3
BINS = 100  # points of a curve; a noisy log made readable
Points = list[tuple[float, float]]
Logs = Mapping[str, list[Row]]
"""Run -> the rows of its log."""


def read_run(run: Path) -> list[Row]:
    """The rows of a run's log. Raises ValueError where there is none."""
    path = run / "log.jsonl"
    if not path.is_file():
        raise ValueError(f"{str(run)!r} has no log.jsonl; give a run folder of sipo-train")
    rows = read_rows(path)
    if not rows:
        raise ValueError(f"{path} is empty; train at least one step first")
    needed = {"pairs_seen", *PANELS.values(), *ERRORS} - set(GROWTH)
    for row in rows:
        unknown = UNKNOWN if "psi_w" not in row else set()
        if missing := needed - unknown - row.keys():
            raise ValueError(
                f"{path} has no {min(missing)!r} at step {row['step']}; give a run of sipo-train"
            )
    return rows


def _value(row: Row, panel: Panel) -> float | None:
    """None for what is measured against a reference, of a run without."""
    if panel not in row and "psi_w" not in row:
        return None
    if panel == "growth_w":
        return row["error_w"] / row["ref_error_w"] - 1
    if panel == "growth_l":
        return row["error_l"] / row["ref_error_l"] - 1
    return row[panel]


def plot(runs: Sequence[Path], out: Path) -> Path:
    """Draw `runs` into out/curves.png and out/curves.html; returns the page."""
    logs = dict(zip(_names(runs), map(read_run, runs), strict=True))
    charts = _charts(logs)
    out.mkdir(parents=True, exist_ok=True)
    write_png(charts, out / "curves.png", COLUMNS)
    page = out / "curves.html"
    template = Path(__file__).with_name("curves.html")
    text = render(
        template,
        title="Reward dynamics",
        charts=[svg(chart, chart.title) for chart in charts],
        names=["pairs_seen", *PANELS.values()],
        ends={name: _last_tenth(rows) for name, rows in logs.items()},
        warnings=[
            f"{name}, {finding}"
            for name, run in zip(logs, runs, strict=True)
            for finding in diagnose_run(run)
        ],
    )
    write_text(page, text)
    return page


def _names(runs: Sequence[Path]) -> list[str]:
    """What tells the folders' paths apart; the whole paths where that is not unique."""
    paths = [run.resolve().parts for run in runs]
    if len(paths) == 1:
        return [paths[0][-1]]
    start = _common(paths)
    end = _common([path[start:][::-1] for path in paths])
    names = ["/".join(path[start : len(path) - end]) or path[-1] for path in paths]
    return names if len(set(names)) == len(names) else [str(run) for run in runs]


def _common(paths: Sequence[Sequence[str]]) -> int:
    """How many parts all begin with."""
    together = zip(*paths, strict=False)
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, together))


def _charts(logs: Logs) -> list[Chart]:
    """One a panel; the last are of validation, where any run has it."""
    panels: dict[str, dict[str, Points]] = {
        title: {
            name: [(row["pairs_seen"], y) for row in rows if (y := _value(row, key)) is not None]
            for name, rows in logs.items()
        }
        for title, key in PANELS.items()
    }
    for title, seen in LOOKS.items():
        looked_at = {name: _looks(rows, seen) for name, rows in logs.items()}
        if any(looked_at.values()):
            panels[title] = looked_at
    color = {name: SERIES[place % len(SERIES)] for place, name in enumerate(logs)}
    return [
        Chart(
            [Line(n, binned(points, BINS), color[n]) for n, points in curves.items() if points],
            "pairs seen",
            title,
            levels=(0,) if title in AROUND_ZERO else (),
        )
        for title, curves in panels.items()
    ]


def _looks(rows: Sequence[Row], seen: Seen) -> Points:
    """Those that saw it."""
    looks = [(row["pairs_seen"], row["validation"]) for row in rows if "validation" in row]
    return [(pairs, value) for pairs, look in looks if (value := look.get(seen)) is not None]


def _last_tenth(rows: Sequence[Row]) -> list[float | None]:
    """Pairs seen in all, and the means of the panels' columns at the end."""
    tail = rows[-max(1, len(rows) // 10) :]
    columns = ([_value(row, key) for row in tail] for key in PANELS.values())
    found = ([value for value in column if value is not None] for column in columns)
    return [rows[-1]["pairs_seen"], *(fmean(values) if values else None for values in found)]
