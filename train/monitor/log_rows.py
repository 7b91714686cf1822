"""The rows of log.jsonl, as everything that looks at a run reads them."""

from __future__ import annotations

from pathlib import Path
from typing import NotRequired, Required, TypedDict, cast

from sipo.common.files.strict_json import load_json
from sipo.common.files.text import read_text, split_lines


class Look(TypedDict):
    """What one validation saw; `prompts` are shares of correct images by tag and prompt."""

    overall: float
    prompts: dict[str, dict[str, float]]
    empty_share: float
    sharpness: NotRequired[float]  # the images' mean; older logs have none
    single_object_confidence: NotRequired[float | None]


class Row(TypedDict, total=False):
    """Means over the pairs since the last row; docs/objectives.md says what each tells.

    The `_by_t` are by tenths of the timesteps, None where no pair fell. A row of a run has all but
    `validation`, `validation_failed` (why it saw nothing) and `warnings`, which stand where there
    are some, `winner_growth` (--stop_on_winner_error), and what is measured against a reference
    where there is none
    (`sipo.train.monitor.metrics.OF_REFERENCE`).
    """

    step: Required[int]
    pairs_seen: int
    lr: float
    loss: float
    raw_model_loss: float
    ref_loss: float
    psi_w: float
    psi_l: float
    margin: float
    implicit_acc: float
    negative_margin: float
    error_w: float
    error_l: float
    ref_error_w: float
    ref_error_l: float
    w: float
    keep: float
    clip: float
    gradient_factor: float
    abs_z: float
    beta: float
    mse_gap: float
    w_by_t: list[float | None]
    keep_by_t: list[float | None]
    psi_w_by_t: list[float | None]
    psi_l_by_t: list[float | None]
    margin_by_t: list[float | None]
    grad_norm: float
    winner_growth: float
    validation: Look
    validation_failed: str
    warnings: list[str]
    pairs_per_s: float


def read_rows(path: Path) -> list[Row]:
    """The rows of a log.jsonl; [] where there is none.

    What stands at the end and is no row was being written when the run was killed, and is left
    out. Raises ValueError for anything else that is no row.
    """
    if not path.exists():
        return []
    rows: list[Row] = []
    broken = 0
    for number, line in enumerate(split_lines(read_text(path, "log")), 1):
        if (row := _row(line)) is None:
            broken = broken or number
        elif broken:
            raise ValueError(
                f"log {str(path)!r}, line {broken}, is damaged; remove that line, and the same "
                "command goes on"
            )
        else:
            rows.append(row)
    return rows


def _row(line: str) -> Row | None:
    try:
        row = load_json(line)
    except ValueError:
        return None
    return cast(Row, row) if isinstance(row, dict) and isinstance(row.get("step"), int) else None
