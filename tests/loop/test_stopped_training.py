"""`sipo-train` as it is really stopped: by a terminal's Ctrl-C, and by a scheduler's SIGTERM."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from sipo.backbones.base import LORA_FILE
from sipo.train.distributed.cpu_launcher import train_on_cores
from sipo.train.settings import TrainSettings, make_settings, read_yaml


@pytest.mark.parametrize(
    ("workers", "steps", "number", "send"),
    [
        pytest.param(1, 60, signal.SIGTERM, os.kill, marks=pytest.mark.slow),  # to the command
        (2, 30, signal.SIGINT, os.killpg),  # also to the processes it started, as a terminal does
    ],
)
def test_it_ends_with_a_checkpoint_and_goes_on_exactly(
    finished: Path,
    tmp_path: Path,
    workers: int,
    steps: int,
    number: signal.Signals,
    send: Callable[[int, int], None],
) -> None:
    given = read_yaml(finished / "round-1/train/settings.yaml")
    given |= {"max_train_steps": steps, "workers": workers}
    stopped, whole = (
        make_settings(given | {"out": str(tmp_path / name)}) for name in ("stopped", "whole")
    )
    code, said = stop(stopped, number, send)
    assert code == 128 + number, said
    [kept] = (tmp_path / "stopped").glob("checkpoint-*")
    step = int(kept.name.removeprefix("checkpoint-"))
    assert f"stopped at step {step} of {steps}; kept {kept}; the same command again goes on" in said
    assert "Traceback" not in said
    train_on_cores(stopped)
    train_on_cores(whole)
    one, other = (load_file(Path(run.out) / LORA_FILE) for run in (stopped, whole))
    assert all(torch.equal(one[name], other[name]) for name in one)


def stop(
    settings: TrainSettings, number: signal.Signals, send: Callable[[int, int], None]
) -> tuple[int, str]:
    """Start `sipo-train`, send the signal after its second step; its code and last words."""
    out = Path(settings.out)
    file = out.with_suffix(".yaml")
    file.write_text(yaml.safe_dump(settings.model_dump(mode="json", exclude_none=True)))
    command = [sys.executable, "-c", "from sipo.train.cli import main; main()", str(file)]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    process = subprocess.Popen(
        command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    log, deadline = out / "log.jsonl", time.monotonic() + 120
    while not (log.exists() and log.read_text().count("\n") >= 2):
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    send(process.pid, number)
    _, said = process.communicate(timeout=120)
    return process.returncode, said
