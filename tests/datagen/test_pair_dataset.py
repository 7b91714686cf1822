"""What training reads: random access, picklable, the same values that were sampled."""

from __future__ import annotations

import pickle
import shutil
from pathlib import Path

import pytest
import torch

from sipo.backbones.base import Backbone, Sampler
from sipo.datagen.generation.rejudging import pair_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.feedback.fake import FakeJudge


def test_a_record_is_the_pair_that_was_sampled(shards: Path, tiny_backbone: Backbone) -> None:
    dataset = PairDataset(shards)
    assert len(dataset) > 3
    record = dataset[len(dataset) - 1]
    assert record.winner.shape == record.loser.shape == (4, 8, 8)
    assert record.winner.dtype == torch.float32
    assert record.margin >= 0.2
    expected = tiny_backbone.encode_prompts([record.text])["encoder_hidden_states"][0]
    torch.testing.assert_close(record.conditioning["encoder_hidden_states"], expected)
    empty = tiny_backbone.encode_prompts([""])["encoder_hidden_states"][0]
    torch.testing.assert_close(dataset.empty["encoder_hidden_states"], empty)


def test_meta_says_what_the_pairs_were_made_with(shards: Path, tiny_backbone: Backbone) -> None:
    meta = PairDataset(shards).meta
    assert meta["backbone"]["weights_sha256"] == tiny_backbone.weights_sha256()
    assert meta["backbone"]["name"] == "tiny-sd"
    assert Sampler(**meta["sampler"]) == tiny_backbone.default_sampler
    assert meta["judge"] == {"id": "fake"}
    assert "torch" in meta["versions"]


def test_it_survives_pickling_and_moving(shards: Path, tmp_path: Path) -> None:
    dataset = PairDataset(shards)
    thawed = pickle.loads(pickle.dumps(dataset))
    moved = PairDataset(shutil.copytree(shards, tmp_path / "moved"))
    for other in (thawed, moved):
        assert other.fingerprint() == dataset.fingerprint()
        assert other[0].key == dataset[0].key
        assert torch.equal(other[0].loser, dataset[0].loser)


def test_workers_read_all_records(shards: Path) -> None:
    dataset = PairDataset(shards)
    loader = torch.utils.data.DataLoader(dataset, batch_size=None, num_workers=1)
    assert [record.key for record in loader] == [r.key for r in dataset]


def test_several_folders_are_one_dataset(
    shards: Path, settings: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    more = settings.model_copy(update={"out": tmp_path / "more", "seed": 1, "num_prompts": 2})
    generate(more, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    one, other = PairDataset(shards), PairDataset(more.out)
    both = PairDataset([shards, more.out])
    assert len(both) == len(one) + len(other)
    assert len({r.key for r in both}) == len(both)
    assert both.fingerprint() not in (one.fingerprint(), other.fingerprint())
    with pytest.raises(ValueError, match="twice"):
        PairDataset([shards, shards])


def test_a_folder_without_pairs_is_refused(shards: Path) -> None:
    pair_folder(shards, margin=1.0)
    with pytest.raises(ValueError, match="no pairs"):
        PairDataset(shards)


def test_training_needs_no_candidates(shards: Path) -> None:
    for path in shards.glob("candidates-*"):
        path.unlink()
    assert PairDataset(shards)[0].margin >= 0.2
