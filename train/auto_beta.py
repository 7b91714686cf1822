"""`--auto_beta`: beta follows the pairs, so that the typical margin stays where it teaches."""

from __future__ import annotations

from collections.abc import Mapping

LOW, HIGH = 0.25, 1.0
"""Of the typical |z|. A pair's pull is sigma(-z), 1/2 at the reference: at z = .25 it has lost 12 %
of that and the reference has a say, at 1 it has lost 46 % and still teaches. Ours."""
MEMORY = 20
"""Steps that the running mean looks back, and that pass before beta moves."""
RATE = 0.01
"""Beta changes by 1 % a step at most: twofold takes 70 steps, so the mean can follow."""
RANGE = 10.0
"""Beta stays within --beta_dpo over and times this: no run without signal ends in infinity."""


class AutoBeta:
    """|z| is proportional to beta, so what is averaged is |z| / beta: a new beta acts at once.

    g <- g + (mean |z| / beta - g) / min(n, MEMORY) of step n, over all pairs of all processes;
    outside of LOW <= beta g <= HIGH beta goes to the nearer end, by RATE a step at most.
    """

    def __init__(self, beta: float) -> None:
        self.start = self.beta = beta
        self.gap, self.steps = 0.0, 0

    def update(self, abs_z: float) -> None:
        """After a step whose mean |z| this was."""
        self.steps += 1
        self.gap += (abs_z / self.beta - self.gap) / min(self.steps, MEMORY)
        typical = self.beta * self.gap
        if self.steps < MEMORY or LOW <= typical <= HIGH:
            return
        if typical < LOW:
            self.beta *= min(1 + RATE, LOW / max(typical, 1e-30))
        else:
            self.beta *= max(1 / (1 + RATE), HIGH / typical)
        self.beta = min(max(self.beta, self.start / RANGE), self.start * RANGE)

    def state_dict(self) -> dict[str, float]:
        return {"beta": self.beta, "gap": self.gap, "steps": self.steps}

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        self.beta, self.gap, self.steps = state["beta"], state["gap"], int(state["steps"])
