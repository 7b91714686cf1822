"""What `accelerate launch` is configured for is done, or refused with a sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

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
        as_launched(make_settings({"mixed_precision": "no"}))


@pytest.mark.parametrize(
    ("native", "configured", "chosen"),
    [(False, "no", "no"), (True, "no", "bf16"), (True, "fp16", "fp16"), (False, "bf16", "bf16")],
)
def test_the_number_format_is_the_machines_where_none_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, native: bool, configured: str, chosen: str
) -> None:
    """It is written down as what it came to, so that another machine does not change a run."""
    on = "bfloat16" if native else "float32"
    monkeypatch.setattr("sipo.train.distributed.accelerate_env.dtype_on", lambda device: on)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", configured)
    assert as_launched(make_settings({})).mixed_precision == chosen


GROUPS = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from sipo.train.build import WAIT, make_accelerator
from sipo.train.distributed.fsdp import shard
from sipo.train.settings import make_settings
accelerator = make_accelerator(make_settings({"mixed_precision": "no"}))
waits = torch.distributed.distributed_c10d._get_default_group()._get_backend(accelerator.device)
assert waits.options._timeout == WAIT
network = torch.nn.Linear(2, 2)
shard(network, accelerator.device)
wrapped = accelerator.prepare_model(torch.nn.Linear(2, 2))
groups = network.weight.device_mesh.get_group(), wrapped.process_group
assert all(group is torch.distributed.group.WORLD for group in groups)
"""


def test_all_that_processes_do_together_waits_as_long() -> None:
    """DDP, FSDP2 and what we gather ourselves are of one group, whose patience is ours."""
    given = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1"}
    given |= {"MASTER_PORT": "0", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", GROUPS, str(Path(__file__).parents[2])]
    done = subprocess.run(
        words, env=os.environ | given, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_fsdp_and_validation_are_refused_as_with_the_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for key, value in FSDP.items():
        monkeypatch.setenv(key, value)
    with pytest.raises(ValueError, match="--shard_weights divides the model"):
        as_launched(make_settings({"validation_pairs": 4}))
