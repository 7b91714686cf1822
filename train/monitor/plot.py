"""`sipo-train plot`: the curves of one or several runs as PNG, and one page around them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from sipo.common.files.names_apart import names_apart
from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text
from sipo.common.files.writing import write_text
from sipo.pages.chart_kinds import SERIES, Mark, Table
from sipo.pages.charts import drawn, write_png
from sipo.pages.html import render
from sipo.train.monitor.curve_panels import Logs, over_time, over_timesteps
from sipo.train.monitor.health import Finding, diagnose_run
from sipo.train.monitor.log_rows import Row, read_rows
from sipo.train.monitor.metrics import OF_REFERENCE
from sipo.train.monitor.panels import PANELS, Quantity, value

CURVES = "curves"
"""The names of what is written into a folder: curves.html, curves.png."""
PER_ROW = 3
MOST_MARKED = 2  # runs whose warnings stand in the charts
GROWTH = ("growth_w", "growth_l")
ERRORS = ("error_w", "error_l", "ref_error_w", "ref_error_l")
UNKNOWN = {*OF_REFERENCE, "gradient_factor"}
"""Columns that a run without a reference may lack."""
ENDS: dict[str, Quantity] = {
    "reward of winners": "psi_w",
    "reward of losers": "psi_l",
    "gap": "margin",
    "error of winners over the reference's": "growth_w",
    "error of losers over the reference's": "growth_l",
    "pairs whose winner is ahead": "implicit_acc",
    "gradient factor": "gradient_factor",
    "pairs kept": "keep",
    "gradient norm": "grad_norm",
}
"""Rows of the table of how runs end."""
ASKED = ("objective", "learning_rate", "beta_dpo", "train_batch_size", "seed")
"""Settings that stand above them."""


class Warned(NamedTuple):
    run: str
    finding: Finding
    mark: Mark


def read_run(run: Path) -> list[Row]:
    """The rows of a run's log. Raises ValueError where there is none."""
    path = run / "log.jsonl"
    if not path.is_file():
        raise ValueError(f"{str(run)!r} has no log.jsonl; give a run folder of sipo-train")
    rows = read_rows(path)
    if not rows:
        raise ValueError(f"{path} is empty; train at least one step first")
    needed = {"pairs_seen", *(name for panel in PANELS for name in panel.of), *ERRORS}
    for row in rows:
        unknown = UNKNOWN if "psi_w" not in row else set()
        if missing := needed - {*GROWTH} - unknown - row.keys():
            raise ValueError(
                f"{path} has no {min(missing)!r} at step {row['step']}; give a run of sipo-train"
            )
    return rows


def plot(runs: Sequence[Path], out: Path) -> Path:
    """Draw `runs` into `out`, a page (NAME.html, with NAME.png beside it) or a folder of
    curves.html and curves.png; returns the page."""
    page = out if is_page(out) else out / f"{CURVES}.html"
    logs = dict(zip(names_apart(runs), map(read_run, runs), strict=True))
    warned = _warnings(logs, runs)
    marked = warned if len(logs) <= MOST_MARKED else []
    curves = list(over_time(logs, [each.mark for each in marked]))
    settings = [_settings(run) for run in runs]
    by_timestep = list(over_timesteps(logs, _border(settings)))
    page.parent.mkdir(parents=True, exist_ok=True)
    write_png([*curves, *by_timestep[:3]], page.with_suffix(".png"), PER_ROW)
    text = render(
        Path(__file__).with_name("plot.html"),
        title=f"Training: {', '.join(logs)}",
        sentences=[_sentence(name, rows, warned) for name, rows in logs.items()],
        curves=[drawn(chart) for chart in curves],
        by_timestep=[drawn(chart) for chart in by_timestep],
        beside=_beside(logs, settings),
        warned=warned,
        marked=bool(marked),
        several=len(logs) > 1,
    )
    write_text(page, text)
    return page


def is_page(out: Path) -> bool:
    """Whether it names the page itself; else it is the page's folder."""
    return out.suffix.lower() in (".html", ".htm") and not out.is_dir()


def _warnings(logs: Logs, runs: Sequence[Path]) -> list[Warned]:
    """Numbered over all runs, on the axis of pairs seen."""
    numbers, found = count(1), []
    for place, ((name, rows), run) in enumerate(zip(logs.items(), runs, strict=True)):
        seen = {row["step"]: row["pairs_seen"] for row in rows}
        color = "bad" if len(logs) == 1 else SERIES[place % len(SERIES)]
        for finding in diagnose_run(run):
            text = str(finding) if len(logs) == 1 else f"{name}, {finding}"
            where = seen[finding.first], seen[finding.last]
            found.append(Warned(name, finding, Mark(*where, next(numbers), text, color)))
    return found


def _settings(run: Path) -> Mapping[str, object]:
    path = run / "run.json"
    return load_json(read_text(path))["settings"] if path.is_file() else {}


def _border(settings: Sequence[Mapping[str, object]]) -> float | None:
    """1 - eps_clip, where every run says the same."""
    clips = {clip for each in settings if isinstance(clip := each.get("eps_clip"), float)}
    return 1 - clips.pop() if len(clips) == 1 and all("eps_clip" in s for s in settings) else None


def _last_tenth(rows: Sequence[Row], quantity: Quantity) -> float | None:
    tail = rows[-max(1, len(rows) // 10) :]
    found = [each for row in tail if (each := value(row, quantity)) is not None]
    return fmean(found) if found else None


def _beside(logs: Logs, settings: Sequence[Mapping[str, object]]) -> Table:
    """A column a run: what it was asked, all pairs seen, means over the last tenth of its log."""
    asked = [
        [name.replace("_", " "), *(str(each.get(name, "")) for each in settings)] for name in ASKED
    ]
    seen = ["pairs seen", *(f"{log[-1]['pairs_seen']:,}" for log in logs.values())]
    ends = [
        [said, *(_shown(_last_tenth(log, quantity)) for log in logs.values())]
        for said, quantity in ENDS.items()
    ]
    return Table(["", *logs], [*asked, seen, *ends])


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:.3g}"


def _sentence(name: str, rows: Sequence[Row], warned: Sequence[Warned]) -> str:
    """How it ends and what it was warned of, in the figures of the table."""
    last = rows[-1]
    said = f"{name}: {last['step']:,} steps on {last['pairs_seen']:,} pairs."
    winners, losers = (_last_tenth(rows, quantity) for quantity in ("psi_w", "psi_l"))
    if winners is None or losers is None:
        said += " It has no reference, so no rewards."
    else:
        said += (
            f" In its last tenth winners' reward is {winners:+.3g} and losers' {losers:+.3g}: "
            f"{_judged(winners, losers)}."
        )
    count = sum(each.run == name for each in warned)
    return (
        f"{said} {f'{count} warnings' if count > 1 else 'One warning' if count else 'No warning'}."
    )


def _judged(winners: float, losers: float) -> str:
    if losers < 0 <= winners:
        return "winners above the reference and losers below, as it should be"
    if winners < 0 and losers < 0:
        return "both below the reference, look at the images"
    if winners >= 0 and losers >= 0:
        return "both above the reference"
    return "losers above winners, the wrong way round"
