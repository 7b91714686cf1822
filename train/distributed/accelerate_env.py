"""What `accelerate launch` was configured for, as settings of ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from sipo.train.settings import TrainSettings, make_settings

FSDP, DEEPSPEED = "ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"
ZERO = "ACCELERATE_DEEPSPEED_"
DONE_OTHERWISE = {
    "FSDP_OFFLOAD_PARAMS": "fsdp_offload_params; leave it out, and use more GPUs or a LoRA",
    "FSDP_ACTIVATION_CHECKPOINTING": "fsdp_activation_checkpointing; leave it out, and say "
    "--gradient_checkpointing",
    f"{ZERO}OFFLOAD_OPTIMIZER_DEVICE": "offload_optimizer_device; leave it out, and use more GPUs",
    f"{ZERO}OFFLOAD_PARAM_DEVICE": "offload_param_device; leave it out, and use more GPUs",
    f"{ZERO}CONFIG_FILE": "deepspeed_config_file; say zero_stage in accelerate's own file",
}
"""accelerate's variables -> the setting in its configuration, and what to do instead."""
AGREED = {
    "ACCELERATE_MIXED_PRECISION": "mixed_precision",
    "ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "gradient_accumulation_steps",
    "ACCELERATE_GRADIENT_CLIPPING": "max_grad_norm",
}
"""Said in both places, they must be the same: accelerate's variable -> our setting."""


def as_launched(settings: TrainSettings) -> TrainSettings:
    """With --shard_weights where accelerate is configured for FSDP2.

    Raises ValueError for what is configured there and not done here.
    """
    for variable, name in AGREED.items():
        theirs, ours = os.environ.get(variable, "no"), getattr(settings, name)
        if theirs not in ("no", "none", "auto") and type(ours)(theirs) != ours:
            raise ValueError(
                f"accelerate is configured for {variable} {theirs}, and --{name} is {ours}; give "
                f"--{name} {theirs}, or leave it out of accelerate's configuration"
            )
    if not (asked(FSDP) or asked(DEEPSPEED)):
        return settings
    for variable, said in DONE_OTHERWISE.items():
        if os.environ.get(variable, "").lower() not in ("", "none", "false"):
            raise ValueError(f"accelerate is configured with {said}")
    if asked(DEEPSPEED):
        _check_zero(settings)
        return settings
    if (version := os.environ.get("FSDP_VERSION", "1")) != "2":
        raise ValueError(f"accelerate is configured for FSDP {version}; give fsdp_version: 2")
    return make_settings(settings.model_dump() | {"shard_weights": True})


def _check_zero(settings: TrainSettings) -> None:
    if (stage := zero_stage()) not in (1, 2):
        raise ValueError(
            f"accelerate is configured for DeepSpeed's zero_stage {stage}; give 1 or 2, or "
            "recipes/accelerate/fsdp.yaml, which divides the weights too"
        )
    alone = {
        "--shard_weights": settings.shard_weights,
        "--use_8bit_adam": settings.use_8bit_adam,
        "--quantize": settings.quantize != "no",
        "--mixed_precision fp16": settings.mixed_precision == "fp16",
    }
    for option, given in alone.items():
        if given:
            raise ValueError(
                f"accelerate is configured for DeepSpeed, which does not go with {option}; leave "
                "it out, or launch with recipes/accelerate/multi_gpu.yaml"
            )


def zero_stage() -> int:
    """Of DeepSpeed; 0: it is not asked for."""
    return int(os.environ.get(f"{ZERO}ZERO_STAGE", "2")) if asked(DEEPSPEED) else 0


def reshard_after_forward() -> bool:
    """Whether weights are divided again between forward and backward; accelerate's default."""
    return asked("FSDP_RESHARD_AFTER_FORWARD", default="true")


def asked(variable: str, default: str = "false") -> bool:
    return os.environ.get(variable, default).lower() == "true"


@contextmanager
def wrapping_is_ours() -> Iterator[None]:
    """Inside, accelerate knows of neither: it would wrap the policy without its reference."""
    before = {name: os.environ.pop(name) for name in (FSDP, DEEPSPEED) if name in os.environ}
    try:
        yield
    finally:
        os.environ |= before
