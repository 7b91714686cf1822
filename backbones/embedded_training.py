"""What training takes for a model where nothing is said: of an embedded one what its search found,
training.json beside the weights.
"""

from __future__ import annotations

from sipo.backbones.loading.names import EMBEDDED
from sipo.common.files.text import read_text
from sipo.common.settings import StrictModel
from sipo.weights import weights_folder

TRAINING_FILE = "training.json"


class TrainingDefaults(StrictModel):
    """Under every objective, and of one objective more."""

    settings: dict[str, object]
    objectives: dict[str, dict[str, object]]


def training_defaults(backbone: str, objective: str) -> dict[str, object]:
    """Settings of `sipo-train`; {} for a model that has none, which gets the trainer's own."""
    if backbone not in EMBEDDED:
        return {}
    file = weights_folder(backbone) / TRAINING_FILE
    found = TrainingDefaults.model_validate_json(read_text(file))
    return found.settings | found.objectives.get(objective, {})
