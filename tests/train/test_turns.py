"""Folders that come one after the other, and shards that are named."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from memory_pairs import MemoryPairs, Run
from safetensors.torch import load_file

from sipo.backbones.base import LORA_FILE
from sipo.datagen.storage.shard_folder import split_shards
from sipo.train.checkpoint_files import _begin_alike
from sipo.train.data.turns import Turns
from sipo.train.monitor.log_rows import read_rows
from sipo.train.settings import make_settings


def test_shards_are_named_behind_their_folder(tmp_path: Path) -> None:
    assert split_shards("runs/a:3,0,3") == (Path("runs/a"), (0, 3))
    for plain in ("runs/a", "runs/a:b", "runs/a:1,", ":3"):
        assert split_shards(plain) == (Path(plain), None)
    (tmp_path / "a:1").mkdir()
    assert split_shards(tmp_path / "a:1") == (tmp_path / "a:1", None)


def test_a_run_has_come_further_where_data_begin_alike() -> None:
    assert _begin_alike("one", "one two")
    assert _begin_alike("one two", "one")
    assert not _begin_alike("one two", "one other")


def test_data_that_come_later_train_what_all_at_once_train(run: Run, tmp_path: Path) -> None:
    """The learning rate, AdamW's moments and the moving average go over the border."""
    given = {"steps_per_folder": 2, "lr_scheduler": "cosine", "ema_decay": 0.5}
    first, second = MemoryPairs(5), MemoryPairs(3)
    whole = run("whole", Turns([first, second], 2), **given)
    part = run("parts", Turns([first], 2), **given)
    assert (part.steps, part.stopped, whole.steps) == (2, False, 4)
    assert run("parts", Turns([first], 2), **given).steps == 2  # there is nothing to do
    assert run("parts", Turns([first, second], 2), **given).steps == 4
    one, other = (load_file(tmp_path / name / LORA_FILE) for name in ("whole", "parts"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    with pytest.raises(ValueError, match="was started with data"):
        run("parts", Turns([second, first], 2), **given)


def test_a_step_learns_from_the_part_whose_turn_it_is(run: Run, tmp_path: Path) -> None:
    second = run("other", Turns([MemoryPairs(5), MemoryPairs(4)], 2), steps_per_folder=2)
    plain = run("plain", MemoryPairs(5))
    rows = [read_rows(Path(each.out) / "log.jsonl") for each in (second, plain)]
    losses = [[row["loss"] for row in found] for found in rows]
    assert losses[0][:2] == losses[1][:2]
    assert losses[0][2] != losses[1][2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_train_steps": 9, "reference_draws": 2}, "--reference_draws keeps errors of pairs"),
        ({"max_train_steps": 9, "objective": "d3po"}, "d3po samples itself"),
        ({}, "give --max_train_steps"),
    ],
)
def test_what_needs_all_data_at_once_is_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_settings({"data": ["a"], "steps_per_folder": 3, **given})
