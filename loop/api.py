"""The whole loop from Python: `sipo.loop`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.python_api import combined, takes
from sipo.loop.settings import LoopSettings

if TYPE_CHECKING:
    from sipo.loop.result import LoopSummary


@takes(LoopSettings)
def loop(
    backbone: str | Path | None = None,
    *,
    out: str | Path | None = None,
    settings: LoopSettings | None = None,
    **options: object,
) -> LoopSummary:
    """Rounds of generate, train and evaluate: each learns from pairs of the policy before it.

    Every setting of `sipo-loop` is a keyword, and goes over what `settings` says; `report.html` in
    `out` shows what came of it. The same call again goes on where it stopped. Raises ValueError
    for what cannot be met, TypeError for a keyword that is none.
    """
    from sipo.loop.rounds import loop as run

    return run(combined(LoopSettings, settings, options, backbone=backbone, out=out))
