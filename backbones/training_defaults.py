"""What training takes for a model where nothing is said: embedded models, each by its search."""

from __future__ import annotations

from typing import Any

TRAINING: dict[str, dict[str, Any]] = {
    "mini-sd": {  # docs/log.md, 2026-11-24
        "learning_rate": 3e-3,
        "lr_scheduler": "cosine",
        "rank": 32,
        "winner_anchor": 1.0,
        "train_timesteps": "400:1000",
    },
}
BETAS = {("mini-sd", "sipo"): 100.0}
"""Of a model under an objective; every other objective keeps its own."""


def training_defaults(backbone: str, objective: str) -> dict[str, Any]:
    """Settings of `sipo-train`; {} for a model that has none, which gets the trainer's own."""
    beta = BETAS.get((backbone, objective))
    return TRAINING.get(backbone, {}) | ({} if beta is None else {"beta_dpo": beta})
