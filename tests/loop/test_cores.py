"""Training shared out to the cores of a CPU."""

from __future__ import annotations

import os
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
from alike import assert_close_weights

from sipo.train.distributed.card_launcher import train_launched
from sipo.train.distributed.cpu_launcher import train_on_cores
from sipo.train.settings import TrainSettings, make_settings, read_yaml

LORA = "pytorch_lora_weights.safetensors"


def two(finished: Path, out: Path, **changes: object) -> TrainSettings:
    """The settings of the loop's first round, for two processes."""
    given = read_yaml(finished / "round-1/train/settings.yaml")
    return make_settings(given | {"out": str(out), "workers": 2} | changes)


def test_two_processes_train_what_one_trains(finished: Path, tmp_path: Path) -> None:
    for workers, name in ((1, "one"), (2, "two")):
        asked = two(finished, tmp_path / name, workers=workers, checkpointing_steps=1)
        summary = train_on_cores(asked)
        assert (summary.steps, summary.pairs_seen) == (3, 6)
    start = tmp_path / "one" / "checkpoint-1" / LORA
    assert_close_weights(tmp_path / "one" / LORA, tmp_path / "two" / LORA, start)


@pytest.mark.slow
def test_launched_processes_train_the_same(finished: Path, tmp_path: Path) -> None:
    """As on cards, here on the CPU; each imports for itself."""
    train_on_cores(two(finished, tmp_path / "forked", checkpointing_steps=1))
    one = two(finished, tmp_path / "launched", workers=1, checkpointing_steps=1)
    assert train_launched(one, 2).pairs_seen == 6
    start = tmp_path / "forked" / "checkpoint-1" / LORA
    assert_close_weights(tmp_path / "forked" / LORA, tmp_path / "launched" / LORA, start)
    with pytest.raises(ChildProcessError, match="training by 2 processes ended with status 1"):
        train_launched(one.model_copy(update={"learning_rate": 7.0}), 2)


@pytest.mark.slow
def test_processes_start_with_the_same_threads_whatever_was_imported(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ultralytics sets OMP_NUM_THREADS; a run that goes on may find it without a judge. On mini-sd
    that changed the weights in their last bits.
    """
    start, found = SpawnProcess.start, []

    def watched(process: SpawnProcess) -> None:
        found.append(os.environ.get("OMP_NUM_THREADS"))
        start(process)

    monkeypatch.setattr(SpawnProcess, "start", watched)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    train_on_cores(two(finished, tmp_path / "run"))
    assert found == ["1"]  # of the one that imports and forks
    assert "OMP_NUM_THREADS" not in os.environ


def test_what_a_process_raises_is_raised_here(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="--lora_targets 'nowhere' is no linear"):
        train_on_cores(two(finished, tmp_path / "none", lora_targets="nowhere"))
    with pytest.raises(ValueError, match="cannot share --train_batch_size 3 evenly"):
        train_on_cores(two(finished, tmp_path / "none", train_batch_size=3))
