"""Weights by path or hub id: what is taken, how it is named, what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sipo.common.devices import judge_device
from sipo.feedback.judge_weights import (
    describe_folder,
    find_file,
    find_folder,
    load_tensors,
    sha256,
)


def test_a_file_s_hash(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    assert sha256(tmp_path / "a") == hashlib.sha256(b"weights").hexdigest()
    blob = tmp_path / ("ab" * 32)  # how the hub's cache names a large file
    blob.touch()
    (tmp_path / "model.safetensors").symlink_to(blob)
    assert sha256(tmp_path / "model.safetensors") == "ab" * 32


def test_a_folder_is_named_by_its_hub_id(tmp_path: Path) -> None:
    cached = tmp_path / "models--someone--judge" / "snapshots" / "0123"
    plain = tmp_path / "mine"
    for folder in (cached, plain):
        folder.mkdir(parents=True)
        save_file({"a": torch.ones(2)}, folder / "model.safetensors")
    assert describe_folder(cached)["weights"] == "someone/judge"
    assert describe_folder(plain)["weights"] == "mine"
    assert describe_folder(cached)["weights_sha256"] == describe_folder(plain)["weights_sha256"]
    (plain / "config.json").write_text("{}")
    assert find_folder(plain) == plain


def test_tensors_of_either_format(tmp_path: Path) -> None:
    save_file({"a": torch.ones(2)}, tmp_path / "a.safetensors")
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth")
    torch.save({"state_dict": {"a": torch.ones(2)}, "epoch": 3}, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pth", "a.pt"):
        assert torch.equal(load_tensors(tmp_path / name)["a"], torch.ones(2))


def test_what_is_no_weights_is_named(tmp_path: Path) -> None:
    (tmp_path / "cut.pt").write_bytes(b"PK")
    torch.save([1, 2], tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"cut.pt' are not plain tensors"):
        load_tensors(tmp_path / "cut.pt")
    with pytest.raises(ValueError, match=r"list.pt' hold no state dict"):
        load_tensors(tmp_path / "list.pt")
    with pytest.raises(ValueError, match=r"cut.pt' are a file; give the model's folder"):
        find_folder(tmp_path / "cut.pt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"lack config.json and \*.safetensors; give a folder as"):
        find_folder(tmp_path / "empty")
    with pytest.raises(ValueError, match=r"nowhere.pt' are no file; give one like HPS.pt"):
        find_file(tmp_path / "nowhere.pt", "xswu/HPSv2", "HPS.pt")
    with pytest.raises(
        ValueError, match=r"'xswu/HPSv2/HPS.pt' is not in the hub's cache.*HF_HUB_OFFLINE is set"
    ):
        find_file(None, "xswu/HPSv2", "HPS.pt")
    with pytest.raises(ValueError, match=r"judge setting device 'tpu9' cannot be used"):
        judge_device("tpu9")
