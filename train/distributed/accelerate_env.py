"""What `accelerate launch` was configured for, as settings of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sipo.common.devices import dtype_on, find_device
from sipo.train.settings import TrainSettings, make_settings

FSDP, DEEPSPEED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"
DONE_OTHERWISE = {
    "FSDP_OFFLOAD_PARAMS": "fsdp_offload_params; leave it out, and use more GPUs or a LoRA",
    "FSDP_ACTIVATION_CHECKPOINTING": "fsdp_activation_checkpointing; leave it out, and say "
    "--gradient_checkpointing",
}
"""accelerate's variables -> the setting in its configuration, and what to do instead."""
AGREED = {
    "ACCELERATE_MIXED_PRECISION": "mixed_precision",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "gradient_accumulation_steps",
}
"""Said in both places, they must be the same: accelerate's variable -> our setting."""
UNSAID = ("no", "none", "auto")


def as_launched(settings: TrainSettings) -> TrainSettings:
    """With what accelerate is configured for: its number format where --mixed_precision is 'auto'
    (else this machine's), and --shard_weights where it says FSDP2.

    Raises ValueError for what is configured there and not done here.
    """
    if settings.mixed_precision == "auto":
        theirs = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        chosen = _of_this_machine() if theirs in UNSAID else theirs
        settings = make_settings(settings.model_dump() | {"mixed_precision": chosen})
    if asked(DEEPSPEED):
        raise ValueError(
            "accelerate is configured for DeepSpeed, which is not done here; give FSDP instead, as "
            "recipes/accelerate/fsdp.yaml does: it divides weights, gradients and optimizer"
        )
    for variable, name in AGREED.items():
        theirs, ours = os.environ.get(variable, "no"), getattr(settings, name)
        if theirs not in UNSAID and type(ours)(theirs) != ours:
            raise ValueError(
                f"accelerate is configured for {variable} {theirs}, and --{name} is {ours}; give "
                f"--{name} {theirs}, or leave it out of accelerate's configuration"
            )
    if not asked(FSDP):
        return settings
    for variable, said in DONE_OTHERWISE.items():
        if os.environ.get(variable, "").lower() not in ("", "none", "false"):
            raise ValueError(f"accelerate is configured with {said}")
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise ValueError(f"accelerate is configured for FSDP {version}; give fsdp_version: 2")
    return make_settings(settings.model_dump() | {"shard_weights": True})


def _of_this_machine() -> str:
    return "bf16" if dtype_on(find_device("auto")) == "bfloat16" else "no"


def reshard_after_forward() -> bool:
    """Whether weights are divided again between forward and backward; accelerate's default."""
    return asked("FSDP_RESHARD_AFTER_FORWARD", default="true")


def asked(variable: str, default: str = "false") -> bool:
    return os.environ.get(variable, default).lower() == "true"


@contextmanager
def wrapping_is_ours() -> Iterator[None]:
    """Inside, accelerate knows of no FSDP: it would wrap the policy without its reference."""
    before = os.environ.pop(FSDP, None)
    try:
        yield
    finally:
        if before is not None:
            os.environ[FSDP] = before
