"""`sipo-train plot`: the curves of one or several runs as PNG, and one page around it."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Literal

from sipo.common.files.writing import atomic, write_text
from sipo.train.monitor.health import Finding, diagnose_run
from sipo.train.monitor.log_rows import Row, read_rows

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
GROWTH = ("growth_w", "growth_l")
ERRORS = ("error_w", "error_l", "ref_error_w", "ref_error_l")
AROUND_ZERO = list(PANELS)[:5]
COLUMNS = 3
BINS = 100  # points of a curve; a noisy log made readable
Points = list[tuple[float, float]]
Logs = dict[str, list[Row]]


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
        if missing := needed - row.keys():
            raise ValueError(
                f"{path} has no {min(missing)!r} at step {row['step']}; give a run of sipo-train"
            )
    return rows


def _value(row: Row, panel: Panel) -> float:
    if panel == "growth_w":
        return row["error_w"] / row["ref_error_w"] - 1
    if panel == "growth_l":
        return row["error_l"] / row["ref_error_l"] - 1
    return row[panel]


def plot(runs: Sequence[Path], out: Path) -> Path:
    """Draw `runs` into out/curves.png and out/curves.html; returns the page."""
    names = _names(runs)
    logs = dict(zip(names, map(read_run, runs), strict=True))
    warnings = {name: diagnose_run(run) for name, run in zip(names, runs, strict=True)}
    out.mkdir(parents=True, exist_ok=True)
    _draw(logs, out / "curves.png")
    page = out / "curves.html"
    write_text(page, _page(logs, warnings, (out / "curves.png").read_bytes()))
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


def _draw(logs: Logs, path: Path) -> None:
    from matplotlib.figure import Figure

    panels = _panels(logs)
    lines = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(13, 3 * lines), layout="constrained")
    grid = figure.subplots(lines, COLUMNS)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (title, curves) in zip(grid.flat, panels.items(), strict=False):
        for name, points in curves.items():
            axes.plot(*_binned(points), label=name)
        if title in AROUND_ZERO:
            axes.axhline(0, color="grey", linewidth=0.8)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("pairs seen", fontsize=8)
        axes.tick_params(labelsize=8)
    grid[0, 0].legend(fontsize=8)
    with atomic(path) as file:
        figure.savefig(file, dpi=110)


def _panels(logs: Logs) -> dict[str, dict[str, Points]]:
    """Title -> run -> points; the last is validation, where any run has it."""
    panels: dict[str, dict[str, Points]] = {
        title: {
            name: [(row["pairs_seen"], _value(row, key)) for row in rows]
            for name, rows in logs.items()
        }
        for title, key in PANELS.items()
    }
    looked_at: dict[str, Points] = {
        name: [(r["pairs_seen"], r["validation"]["overall"]) for r in rows if "validation" in r]
        for name, rows in logs.items()
    }
    if any(looked_at.values()):
        panels["Validation: Overall"] = {n: points for n, points in looked_at.items() if points}
    return panels


def _binned(points: Points) -> tuple[list[float], list[float]]:
    """Means of runs of points in order, at most BINS of them."""
    size = -(-len(points) // BINS)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return (
        [sum(x for x, _ in group) / len(group) for group in groups],
        [sum(y for _, y in group) / len(group) for group in groups],
    )


def _page(logs: Logs, warnings: dict[str, list[Finding]], picture: bytes) -> str:
    head = "".join(f"<th>{key}</th>" for key in ["run", "pairs_seen", *PANELS.values()])
    body = ""
    for name, rows in logs.items():
        tail = rows[-max(1, len(rows) // 10) :]
        means = (sum(_value(row, key) for row in tail) / len(tail) for key in PANELS.values())
        cells = "".join(f"<td>{mean:.4g}</td>" for mean in (rows[-1]["pairs_seen"], *means))
        body += f"<tr><td>{html.escape(name)}</td>{cells}</tr>"
    items = "".join(
        f"<li>{html.escape(name)}, {html.escape(str(finding))}</li>"
        for name, findings in warnings.items()
        for finding in findings
    )
    return (
        "<!doctype html><meta charset=utf-8><title>sipo-train</title>"
        "<style>body{font:15px system-ui;margin:2rem auto;max-width:1200px;padding:0 1rem}"
        "img{width:100%}td,th{padding:.3rem .6rem;text-align:right;border-bottom:1px solid #ddd}"
        "td:first-child,th:first-child{text-align:left}</style>"
        "<h1>Reward dynamics</h1><p>Healthy: the winner's reward rises, the loser's falls. A gap "
        "that widens while both fall is decay.</p>"
        f'<img alt="curves" src="data:image/png;base64,{base64.b64encode(picture).decode()}">'
        f"<h2>Last tenth of each run</h2><table><tr>{head}</tr>{body}</table>"
        f"<h2>Warnings</h2><ul>{items or '<li>none</li>'}</ul>"
    )
