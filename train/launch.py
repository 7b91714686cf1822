"""What `accelerate launch` was configured for, as settings of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sipo.train.settings import Settings, make_settings

FSDP, DEEPSPEED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"
DONE_OTHERWISE = {
    "FSDP_OFFLOAD_PARAMS": "fsdp_offload_params; leave it out, and use more GPUs or a LoRA",
    "FSDP_ACTIVATION_CHECKPOINTING": "fsdp_activation_checkpointing; leave it out, and say "
    "--gradient_checkpointing",
}
"""accelerate's variables -> the setting in its configuration, and what to do instead."""


def as_launched(settings: Settings) -> Settings:
    """With --shard_weights where accelerate is configured for FSDP2.

    Raises ValueError for what is configured there and not done here.
    """
    if asked(DEEPSPEED):
        raise ValueError(
            "accelerate is configured for DeepSpeed, which steps and clips on its own, before the "
            "pairs kept are counted; recipes/accelerate/fsdp.yaml divides the same (ZeRO-3; with "
            "fsdp_reshard_after_forward: false ZeRO-2)"
        )
    precision = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
    if precision not in ("no", settings.mixed_precision):
        raise ValueError(
            f"accelerate is configured for mixed_precision {precision!r}, and --mixed_precision "
            f"is {settings.mixed_precision!r}; give --mixed_precision {precision}"
        )
    if not asked(FSDP):
        return settings
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise ValueError(f"accelerate is configured for FSDP {version}; give fsdp_version: 2")
    for variable, said in DONE_OTHERWISE.items():
        if asked(variable):
            raise ValueError(f"accelerate is configured with {said}")
    return make_settings(settings.model_dump() | {"shard_weights": True})


def reshard_after_forward() -> bool:
    """Whether weights are divided again between forward and backward; accelerate's default."""
    return asked("FSDP_RESHARD_AFTER_FORWARD", default="true")


def asked(variable: str, default: str = "false") -> bool:
    return os.environ.get(variable, default).lower() == "true"


@contextmanager
def sharding_is_ours() -> Iterator[None]:
    """Inside, accelerate does not know of FSDP: it would wrap the policy without its reference."""
    before = os.environ.pop(FSDP, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[FSDP] = before
