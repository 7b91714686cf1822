"""Every verdict, desirable beside undesirable."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from sipo.common.files.writing import write_json
from sipo.datagen.storage.unpaired_dataset import UnpairedDataset


def rows(shards: Path) -> list[dict[str, Any]]:
    indexes = sorted(shards.glob("candidates-*.json"))
    return [row for path in indexes for row in json.loads(path.read_text())["samples"].values()]


def relabel(shards: Path, **fact: Any) -> None:
    for path in shards.glob("candidates-*.json"):
        index = json.loads(path.read_text())
        for number, row in enumerate(index["samples"].values()):
            row["correct"], row["failure"] = number % 3 == 0, None
            row |= fact
        write_json(path, index)


def test_every_verdict_once_an_epoch_and_failures_never(shards: Path) -> None:
    relabel(shards)
    data = UnpairedDataset(shards)
    correct = sum(row["correct"] for row in rows(shards))
    assert (len(data.desirable), len(data.undesirable)) == (correct, len(rows(shards)) - correct)
    assert len(data) == len(data.undesirable)
    keys = [data[i].key.split("+") for i in range(len(data))]
    assert len({good for good, _ in keys}) == correct
    assert len({bad for _, bad in keys}) == len(data.undesirable)
    relabel(shards, failure="unreadable")
    with pytest.raises(ValueError, match="holds no desirable candidates"):
        UnpairedDataset(shards)


def test_each_side_has_its_own_prompt(shards: Path) -> None:
    relabel(shards)
    data = UnpairedDataset(shards)
    texts = [entry.text for entry in data.undesirable]
    other = next(i for i in range(len(data)) if texts[i] != data[i].text)
    record = data[other]
    assert record.loser_conditioning is not None
    same = record.conditioning["encoder_hidden_states"]
    assert not torch.equal(same, record.loser_conditioning["encoder_hidden_states"])
    assert record.winner.shape == record.loser.shape


def test_one_kind_only_is_refused(shards: Path) -> None:
    relabel(shards, correct=True)
    with pytest.raises(ValueError, match="holds no undesirable candidates; generate more prompts"):
        UnpairedDataset(shards)
