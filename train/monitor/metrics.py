"""What a run reports: sums over pairs and processes, rows of log.jsonl."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import cast

import torch
from torch import Tensor

from sipo.common.bars import say
from sipo.common.files.writing import write_text
from sipo.train.monitor.log_rows import Row, read_rows
from sipo.train.objective.importance import Weights
from sipo.train.objective.losses import Errors, PairLoss

BINS = 10
MEAN_METRICS = ["raw_model_loss", "ref_loss", "psi_w", "psi_l", "margin", "implicit_acc"]
MEAN_METRICS += ["negative_margin", "error_w", "error_l", "ref_error_w", "ref_error_l"]
MEAN_METRICS += ["w", "keep", "clip", "gradient_factor", "abs_z"]
OF_REFERENCE = {"ref_loss", "psi_w", "psi_l", "margin", "implicit_acc", "negative_margin"}
OF_REFERENCE |= {"ref_error_w", "ref_error_l"}
"""Absent from the rows of a run without a reference; `abs_z` too, where it is a gap of rewards."""
PER_BIN_METRICS = ["w", "keep", "psi_w", "psi_l", "margin"]


@torch.no_grad()
def sum_metrics(
    loss: PairLoss, errors: Errors, weights: Weights, timesteps: Tensor, num_train_timesteps: int
) -> Tensor:
    """Sums over the rows of a batch, so that they add up over batches and processes.

    [loss, kept, rows, one sum for each of MEAN_METRICS, then PER_BIN_METRICS and rows of each
    timestep bin]
    """
    gap = loss.psi_w - loss.psi_l
    rows = {
        "raw_model_loss": (errors.winner + errors.loser) / 2,
        "ref_loss": (errors.ref_winner + errors.ref_loser) / 2,
        "psi_w": loss.psi_w,
        "psi_l": loss.psi_l,
        "margin": gap,
        "implicit_acc": (gap > 0).float() + (gap == 0).float() / 2,  # ties count half
        "negative_margin": (gap < 0).float(),
        "error_w": errors.winner,
        "error_l": errors.loser,
        "ref_error_w": errors.ref_winner,
        "ref_error_l": errors.ref_loser,
        "w": weights.w,
        "keep": loss.mask,
        "clip": ((weights.winner != weights.w) | (weights.loser != weights.w)).float(),
        "gradient_factor": torch.sigmoid(-loss.z),  # |d logsigmoid(z) / dz|
        "abs_z": loss.z.abs(),
    }
    ones = torch.ones_like(gap)
    head = [loss.losses, loss.mask, ones, *(rows[name] for name in MEAN_METRICS)]
    bins = (timesteps * BINS // num_train_timesteps).long().clamp(0, BINS - 1)
    columns = [*(rows[name] for name in PER_BIN_METRICS), ones]
    table = torch.zeros(BINS, len(columns), device=gap.device)
    table.index_add_(0, bins, torch.stack(columns, dim=1))
    return torch.cat([torch.stack(head).sum(1), table.flatten()])


@dataclass(frozen=True)
class StepStats:
    """One optimizer step: the sums of `sum_metrics` over all processes, float64, on the CPU; and
    what any of them said before it ended: asked to stop, a checkpoint is late."""

    step: int  # 1, 2, ...
    lr: float
    beta: float
    grad_norm: float
    sums: Tensor
    stop: bool
    late: bool
    winner_growth: float | None = None  # of --stop_on_winner_error


def mean_of(name: str, sums: Sequence[float]) -> float:
    """One of MEAN_METRICS, over the rows of `sum_metrics`."""
    return sums[3 + MEAN_METRICS.index(name)] / sums[2]


def row_of(stats: StepStats, sums: Tensor, pairs_per_step: int) -> Row:
    """`sums` since the last row as means. `mse_gap` = |z| / (beta / 2) compares between betas."""
    beta = stats.beta
    values = sums.tolist()
    head, table = values[: 3 + len(MEAN_METRICS)], values[3 + len(MEAN_METRICS) :]
    total, num_kept, rows = head[:3]
    means = {name: value / rows for name, value in zip(MEAN_METRICS, head[3:], strict=True)}
    absent = {name for name, value in means.items() if isnan(value)}
    absent |= OF_REFERENCE if "psi_w" in absent else set()
    means = {name: value for name, value in means.items() if name not in absent}
    stride = len(PER_BIN_METRICS) + 1
    counts = table[stride - 1 :: stride]
    by_t = {
        f"{name}_by_t": [
            round(value / count, 6) if count else None
            for value, count in zip(table[place::stride], counts, strict=True)
        ]
        for place, name in enumerate(PER_BIN_METRICS)
        if name not in absent
    }
    gap = {} if absent else {"mse_gap": means["abs_z"] / (beta / 2)}
    row = {
        "step": stats.step,
        "pairs_seen": stats.step * pairs_per_step,
        "lr": stats.lr,
        "loss": total / max(num_kept, 1),
        **means,
        "beta": beta,
        **gap,
        **by_t,
        "grad_norm": stats.grad_norm,
    }
    if stats.winner_growth is not None:
        row["winner_growth"] = stats.winner_growth
    return cast(Row, row)


class Log:
    """log.jsonl of one run; on a restart the rows after `step` are taken back.

    What a run that begins at step 0 finds there is kept beside it, under a number.
    """

    def __init__(self, out: Path, step: int) -> None:
        self.path = out / "log.jsonl"
        before = self.rows()
        self.last_row = before[-1]["step"] if before else 0
        """That it had before it was cut back."""
        self._keep_until(step)

    def _keep_until(self, step: int) -> None:
        if not step and self.path.exists() and self.path.stat().st_size:
            kept = _numbered(self.path)
            self.path.replace(kept)
            say(
                f"{self.path.parent} has no checkpoint to go on from: begins at step 0; its log "
                f"until now is {kept.name}"
            )
        elif self.path.exists():
            kept_rows = [row for row in self.rows() if row["step"] <= step]
            write_text(self.path, "".join(f"{json.dumps(row)}\n" for row in kept_rows))

    def rows(self) -> list[Row]:
        """What is written already."""
        return read_rows(self.path)

    def write(self, row: Row) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def _numbered(path: Path) -> Path:
    """log.jsonl.1, or the first number that is free."""
    number = 1
    while (other := path.with_name(f"{path.name}.{number}")).exists():
        number += 1
    return other
