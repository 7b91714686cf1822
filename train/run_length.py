"""How long a run is and what it needs, before it starts: the answers of `--dry-run`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from sipo.backbones.base import Backbone
from sipo.backbones.loading.quantized import stored
from sipo.train.settings import TrainSettings
from sipo.train.timesteps import trained_timesteps


@dataclass(frozen=True)
class RunLength:
    """Positions [0, steps * pairs_per_step) of the stream of pairs; those of the steps from `end`
    on are of data that are still to come.
    """

    steps: int
    pairs_per_step: int
    dataset_pairs: int
    end: int

    @property
    def pairs(self) -> int:
        return self.steps * self.pairs_per_step

    @property
    def epochs(self) -> float:
        return self.pairs / self.dataset_pairs


def make_plan(
    settings: TrainSettings, dataset_pairs: int, num_processes: int = 1, last: int | None = None
) -> RunLength:
    """Steps from --max_train_steps, else --pairs_seen, else --num_train_epochs (rounded up).

    `last` is the last step that there are data for, where there are more to come.
    """
    if dataset_pairs == 0:
        raise ValueError(f"--data {settings.data} holds no pairs; generate some with sipo-data")
    per_step = settings.train_batch_size * settings.gradient_accumulation_steps * num_processes
    pairs = settings.pairs_seen or settings.num_train_epochs * dataset_pairs
    steps = settings.max_train_steps or math.ceil(pairs / per_step)
    return RunLength(steps, per_step, dataset_pairs, steps if last is None else min(steps, last))


def memory_bytes(settings: TrainSettings, weights: int, trainable: int) -> dict[str, int]:
    """What does not depend on the batch: weights, reference, gradients and AdamW's two moments.

    `weights` is in bytes, as they are stored. Activations come on top; they grow with
    2 * train_batch_size * timesteps_per_pair.
    """
    parts = {
        "weights": weights,
        "reference": weights if settings.full else 0,
        "gradients": 4 * trainable,
        "optimizer": (2 if settings.use_8bit_adam else 8) * trainable,
        "ema": 4 * trainable if settings.ema_decay else 0,
    }
    return parts | {"sum": sum(parts.values())}


def describe(settings: TrainSettings, backbone: Backbone, plan: RunLength) -> dict[str, object]:
    """Resolved settings, sizes and lengths. Builds the policy, so the counts are the true ones."""
    from sipo.train.policy import Policy

    trained_timesteps(settings, backbone)
    policy = Policy(backbone, settings)
    trainable = sum(parameter.numel() for parameter in policy.trainable().values())
    total = sum(parameter.numel() for parameter in policy.denoiser.parameters())
    values = policy.denoiser.state_dict().values()
    weights = sum(part.nbytes for value in values for part in stored(value))
    return {
        "settings": settings.model_dump(mode="json") | {"backbone": backbone.name},
        "prediction": backbone.prediction,
        "parameters": {"total": total, "trainable": trainable},
        "memory_bytes": memory_bytes(settings, weights, trainable),
        "pairs": plan.dataset_pairs,
        "pairs_per_step": plan.pairs_per_step,
        "steps": plan.steps,
        "pairs_seen": plan.pairs,
        "epochs": round(plan.epochs, 3),
    }
