"""Random numbers that suites are drawn by; help pages know the suites, and need none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def generator(seed: int) -> np.random.Generator:
    import numpy as np  # a tenth of a second

    return np.random.default_rng(seed)
