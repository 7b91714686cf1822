"""The embedded models' weights, ground that every room stands on; `mini/` holds what made them."""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).parent
SUMS = "SHA256SUMS"
"""Of all their files, written by `sha256sum` in that folder; tests hold it."""


def weights_folder(name: str) -> Path:
    """The folder of one embedded model. Raises ValueError when it was not installed with sipo."""
    folder = WEIGHTS / name
    if not folder.is_dir():
        known = ", ".join(sorted(p.parent.name for p in WEIGHTS.glob("*/README.md"))) or "none"
        raise ValueError(f"embedded weights {name!r} are not in {WEIGHTS}; there are: {known}")
    return folder
