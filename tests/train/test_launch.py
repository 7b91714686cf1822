"""What `accelerate launch` is configured for is done, or refused with a sentence."""

from __future__ import annotations

import pytest
from launcher import environment

from sipo.train.distributed.accelerate_env import as_launched, reshard_after_forward
from sipo.train.settings import make_settings

FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"}


@pytest.mark.parametrize(
    ("config", "sharded"), [("multi_gpu", False), ("multi_node", False), ("fsdp", True)]
)
def test_the_shipped_configurations(
    config: str, sharded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, value in environment(config).items():
        monkeypatch.setenv(key, value)
    settings = make_settings({"mixed_precision": "bf16", "rank": 3})
    asked = settings.model_copy(update={"shard_weights": sharded})
    assert as_launched(settings) == asked
    assert reshard_after_forward()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed, which is not done here; give FSDP"),
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
