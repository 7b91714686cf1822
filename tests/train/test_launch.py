"""What `accelerate launch` is configured for is done, or refused with a sentence."""

from __future__ import annotations

import pytest
from launcher import environment

from sipo.train.distributed.accelerate_env import as_launched, reshard_after_forward, zero_stage
from sipo.train.settings import make_settings

ZERO = {"ACCELERATE_USE_DEEPSPEED": "true"}
FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


@pytest.mark.parametrize(
    ("config", "sharded", "stage"),
    [("multi_gpu", False, 0), ("multi_node", False, 0), ("fsdp", True, 0), ("zero", False, 2)],
)
def test_the_shipped_configurations(
    config: str, sharded: bool, stage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environment(config).items():
        monkeypatch.setenv(key, value)
    settings = make_settings({"mixed_precision": "bf16", "rank": 3})
    asked = settings.model_copy(update={"shard_weights": sharded})
    assert as_launched(settings) == asked
    assert reshard_after_forward()
    assert zero_stage() == stage


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (ZERO | {"ACCELERATE_DEEPSPEED_ZERO_STAGE": "3"}, "zero_stage 3; give 1 or 2"),
        (ZERO | {"ACCELERATE_DEEPSPEED_CONFIG_FILE": "ds.json"}, "deepspeed_config_file; say"),
        (ZERO | {"ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE": "cpu"}, "offload_param_device; "),
        (ZERO | {"ACCELERATE_GRADIENT_CLIPPING": "2.0"}, "is 1.0; give --max_grad_norm 2.0"),
        (FSDP | {"FSDP_VERSION": "1"}, "configured for FSDP 1; give fsdp_version: 2"),
        (FSDP | {"FSDP_OFFLOAD_PARAMS": "true"}, "with fsdp_offload_params; leave it out"),
        (FSDP | {"FSDP_ACTIVATION_CHECKPOINTING": "true"}, "say --gradient_checkpointing"),
        ({"ACCELERATE_MIXED_PRECISION": "bf16"}, "bf16, and --mixed_precision is no; give"),
    ],
)
def test_what_is_done_otherwise_is_refused(
    given: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in given.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ValueError, match=said):
        as_launched(make_settings({}))


def test_fsdp_and_validation_are_refused_as_with_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in FSDP.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ValueError, match="--shard_weights divides the model"):
        as_launched(make_settings({"validation_pairs": 4}))


@pytest.mark.parametrize(
    ("given", "option"),
    [({"shard_weights": True}, "--shard_weights"), ({"quantize": "int8"}, "--quantize")],
)
def test_deepspeed_goes_without_the_other_ways_to_save_memory(
    given: dict[str, object], option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in ZERO.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ValueError, match=f"does not go with {option}; leave it out"):
        as_launched(make_settings(given))
