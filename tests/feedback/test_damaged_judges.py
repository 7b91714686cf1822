"""Judges' weight files that are cut, pointers, of another network: a sentence with the file."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from damage import DAMAGE
from safetensors.torch import load_file, save_file
from tiny_judges import tiny_clip

from sipo.feedback.registry import load_judge
from sipo.weights import weights_folder

FOLDERS = {"mini-evaluator": "evaluator", "yolo-world": "yolo-world-mini"}
TORN = ("cut", "empty", "pointer", "page")


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("judge", FOLDERS)
def test_a_damaged_file_of_an_embedded_judge(tmp_path: Path, judge: str, kind: str) -> None:
    damage, said = DAMAGE[kind]
    folder = Path(shutil.copytree(weights_folder(FOLDERS[judge]), tmp_path / "judge"))
    damage(folder / "model.safetensors")
    with pytest.raises(ValueError, match=rf"weights '.*judge/model.safetensors' .*{said}"):
        load_judge(judge, folder, ())
    (folder / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config.json' is not whole JSON"):
        load_judge(judge, folder, ())


def test_weights_of_another_network(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(weights_folder("evaluator"), tmp_path / "judge"))
    tensors = load_file(folder / "model.safetensors")
    tensors[min(tensors)] = torch.ones(3)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(
        ValueError, match=r"'mini-evaluator' cannot be loaded from '.*judge': .*size"
    ):
        load_judge("mini-evaluator", folder, ())


@pytest.mark.parametrize("kind", TORN)
def test_a_damaged_folder_of_transformers(tmp_path: Path, kind: str) -> None:
    damage, said = DAMAGE[kind]
    folder = tiny_clip(tmp_path / "clip")
    damage(folder / "model.safetensors")
    settings = {"pickscore": {"processor": str(folder)}}
    with pytest.raises(ValueError, match=rf"judge weights '.*clip/model.safetensors' .*{said}"):
        load_judge("pickscore", folder, (), settings)


@pytest.mark.parametrize("judge", ["hpsv2", "image-reward", "aesthetic", "yolo-world"])
@pytest.mark.parametrize("kind", ["empty", "pointer", "page"])
def test_a_damaged_single_file(tmp_path: Path, judge: str, kind: str) -> None:
    damage, said = DAMAGE[kind]
    damage(tmp_path / "judge.pt")
    with pytest.raises(ValueError, match=rf"judge weights '.*judge.pt' .*{said}"):
        load_judge(judge, tmp_path / "judge.pt", ("cat",))


def test_a_judge_that_has_no_weights_of_its_own() -> None:
    with pytest.raises(
        ValueError, match=r"judge 'aesthetic' has no weights of its own; give --jud"
    ):
        load_judge("aesthetic", None, ())
