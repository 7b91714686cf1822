"""Early warnings with a reason: what goes wrong in preference training, seen in the log's rows.

The disease (SIPO slides, Figure 2; trial runs of our own): the gap of the rewards widens while both
fall, errors grow on winners too, images decay. Implicit accuracy rises all the while.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import fmean, median
from typing import Literal

from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text
from sipo.train.monitor.log_rows import Row, read_rows
from sipo.train.objective.registry import NO_MARGIN_OBJECTIVES
from sipo.train.settings import NO_LOSER

COLLAPSE, WINNER_ERROR, CLIPPED = "collapse", "winner_error", "clipped"
SATURATED = 0.05  # mean sigma(-z): most pairs no longer teach
VANISHING = 0.01  # mean |z| after a whole window: beta or learning rate does nothing
FALL = 0.05  # psi_w, in units of the mean |z|
GROWTH = 0.01  # errors over the reference's
STEEPER = 3.0  # gradient norms over the run's first
Settings = Mapping[str, object]
"""Of the run, so that no warning advises what the run has already."""


@dataclass(frozen=True)
class Finding:
    """One cause: the steps at which it was first and last seen, and how often it began."""

    first: int
    last: int
    times: int
    warning: str  # as of the last step

    def __str__(self) -> str:
        where = f"step {self.first}"
        if self.last > self.first:
            where = f"steps {self.first} to {self.last}"
        often = f" ({self.times} times)" if self.times > 1 else ""
        return f"{where}{often}: {self.warning}"


@dataclass
class Health:
    """Told every row of the log; says each warning once until it has cleared.

    `window` is in rows. A decision looks at the last `window` rows and the `window` before them;
    that on gradients, every `window` rows, at the last quarter of all.
    """

    window: int = 25
    settings: Settings = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)  # of gradients, of all rows
    standing: set[str] = field(default_factory=set)
    findings: dict[str, Finding] = field(default_factory=dict)
    best: Row | None = None  # the row of the best validation

    def look(self, row: Row) -> list[str]:
        """The warnings that are new with this row, one sentence each."""
        found = self._collapse(row) if "validation" in row else {}
        if "validation" not in row and COLLAPSE in self.standing:
            found[COLLAPSE] = self.findings[COLLAPSE].warning  # until a later one says otherwise
        limit = self.settings.get("stop_on_winner_error")
        if isinstance(limit, float) and row.get("winner_growth", 0.0) > limit:
            found[WINNER_ERROR] = _grown(row["winner_growth"], limit, self.settings)
        found |= self._clipped(row)
        if "validation_failed" in row:
            found["unseen"] = f"validation saw nothing: {row['validation_failed']}"
        self.rows = [*self.rows[-2 * self.window + 1 :], row]
        if len(self.rows) == 2 * self.window:
            halves = self.rows[: self.window], self.rows[self.window :]
            found |= _symptoms(*halves, self.settings)
        for name, warning in found.items():
            self._note(name, warning, row["step"])
        fresh = [warning for name, warning in found.items() if name not in self.standing]
        self.standing = set(found)
        return fresh

    def _clipped(self, row: Row) -> dict[str, str]:
        """Gradients that grow until most are clipped: AdamW divides by their size, so that noise
        sets the direction.
        """
        if "grad_norm" in row:
            self.norms.append(row["grad_norm"])
        count = len(self.norms)
        if count % self.window or count < 2 * self.window:
            stands = CLIPPED in self.standing
            return {CLIPPED: self.findings[CLIPPED].warning} if stands else {}
        begin, now = median(self.norms[: self.window]), self.norms[-(count // 4) :]
        limit = self.settings.get("max_grad_norm")
        share = fmean(norm > (limit if isinstance(limit, float) else 1.0) for norm in now)
        if share <= 1 / 2 or median(now) <= STEEPER * begin:
            return {}
        warning = (
            f"gradients are clipped in {share:.0%} of the last quarter (median norm "
            f"{median(now):.3g}, {begin:.3g} at the start): steps follow noise. Lower "
            f"--learning_rate{_safer(self.settings)}"
        )
        return {CLIPPED: warning}

    def is_best(self, step: int) -> bool:
        """Whether no validation was better than that of this step."""
        return self.best is not None and self.best["step"] == step

    def _note(self, name: str, warning: str, step: int) -> None:
        begins = name not in self.standing
        before = self.findings.get(name, Finding(step, step, 0, warning))
        times = before.times + begins
        self.findings[name] = replace(before, last=step, times=times, warning=warning)

    def _collapse(self, row: Row) -> dict[str, str]:
        from sipo.train.monitor.validation import fall

        now = row["validation"]
        if self.best is None or now["overall"] > self.best["validation"]["overall"]:
            self.best = row
            return {}
        best = self.best["validation"]
        lost = fall(best["prompts"], now["prompts"])
        if lost is None or lost.interval is None:
            return {}
        low, high = lost.interval
        remedy = "Go back to its checkpoint, or train with --keep_best"
        if self.settings.get("keep_best"):
            remedy = "The run ends with the policy of that step"
        warning = (
            f"validation fell to {now['overall']:.3f}, below the {best['overall']:.3f} of step "
            f"{self.best['step']} by {-lost.difference:.3f} [{-high:.3f}, {-low:.3f}]. {remedy}"
        )
        return {COLLAPSE: warning}


def diagnose(rows: Iterable[Row], settings: Settings) -> list[Finding]:
    """Every cause once, in the order in which they were first seen."""
    health = Health(settings=settings)
    for row in rows:
        health.look(row)
    return list(health.findings.values())


def diagnose_run(run: Path) -> list[Finding]:
    """Of a run folder, finished or not."""
    path = run / "run.json"
    settings = load_json(read_text(path))["settings"] if path.is_file() else {}
    return diagnose(read_rows(run / "log.jsonl"), settings)


def _grown(growth: float, limit: float, settings: Settings) -> str:
    kept = "of its best look" if settings.get("keep_best") else "of its last checkpoint before"
    return (
        f"winners' errors are {growth:+.1%} above the reference's, more than "
        f"--stop_on_winner_error {limit:g} allows: the run ends, with the policy {kept} if it has "
        f"one (summary.json: policy_of_step). Lower --learning_rate{_safer(settings)}"
    )


def _safer(settings: Settings) -> str:
    """What helps besides, where the run does not have it and can."""
    if settings.get("safe_loser") is not None or settings.get("objective") in NO_LOSER:
        return ""
    return ", or add --safe_loser 0.9"


Metric = Literal[
    "psi_w", "abs_z", "gradient_factor", "error_w", "error_l", "ref_error_w", "ref_error_l"
]


def _symptoms(before: Sequence[Row], now: Sequence[Row], settings: Settings) -> dict[str, str]:
    def mean(rows: Sequence[Row], name: Metric) -> float:
        return fmean(row[name] for row in rows)

    found: dict[str, str] = {}
    if any("psi_w" not in row for row in (*before, *now)):  # a run without a reference
        return found
    was, psi_w, z = mean(before, "psi_w"), mean(now, "psi_w"), mean(now, "abs_z")
    watch_z = settings.get("objective") not in NO_MARGIN_OBJECTIVES
    if watch_z and z < VANISHING:  # nothing moves: neither does the winner's reward
        found["vanishing"] = (
            f"z hardly moves (mean |z| {z:.2g}): raise --beta_dpo or --learning_rate"
        )
    elif psi_w < 0 and psi_w < was - FALL * z:
        anchor = "" if settings.get("winner_anchor") else ", or add --winner_anchor 1"
        found["falling"] = (
            f"the winner's reward falls ({was:+.3g} to {psi_w:+.3g}): the gap is paid for by the "
            f"winner. Lower --learning_rate{anchor}"
        )
    growth_w = mean(now, "error_w") / mean(now, "ref_error_w") - 1
    growth_l = mean(now, "error_l") / mean(now, "ref_error_l") - 1
    if min(growth_w, growth_l) > GROWTH:
        look = "validation/" if settings.get("validation_pairs") else "them (--validation_pairs)"
        found["decay"] = (
            f"both errors are above the reference's ({growth_w:+.1%} on winners, "
            f"{growth_l:+.1%} on losers): images may decay. Look at {look}; if they do, go back "
            "to an earlier checkpoint and lower --learning_rate"
        )
    factor = mean(now, "gradient_factor")
    if watch_z and factor < SATURATED:
        found["saturated"] = (
            f"z is saturated (mean |z| {z:.3g}, gradient factor {factor:.2g}): most pairs no "
            "longer teach. Lower --beta_dpo, or stop"
        )
    return found
