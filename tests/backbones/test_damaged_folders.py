"""Weight files that are cut, absent, pointers, of other shapes: a sentence that names the file."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from damage import DAMAGE
from huggingface_hub import constants
from safetensors.torch import load_file, save_file

from sipo.backbones.loading.names import check_backbone
from sipo.backbones.loading.trained_weights import LORA_FILE, check_weights
from sipo.backbones.registry import load_backbone
from sipo.common import hub

UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
FILES = (UNET, "vae/diffusion_pytorch_model.safetensors", TEXT)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy to damage at will."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "tiny-sd"))


@pytest.mark.parametrize("kind", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_file_of_a_backbone(folder: Path, name: str, kind: str) -> None:
    damage, said = DAMAGE[kind]
    damage(folder / name)
    for load in (check_backbone, load_backbone):
        with pytest.raises(ValueError, match=rf"--backbone '.*{name}' .*{said}"):
            load(str(folder))


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_file_of_weights(folder: Path, tmp_path: Path, kind: str) -> None:
    damage, said = DAMAGE[kind]
    lora = tmp_path / "run" / LORA_FILE
    lora.parent.mkdir()
    save_file({"unet.a.lora_A.weight": torch.ones(100, 2)}, lora)
    damage(lora)
    damage(folder / UNET)
    for weights, name in [(lora, lora.name), (lora.parent, lora.name), (folder, UNET)]:
        with pytest.raises(ValueError, match=rf"--init_weights '.*{name}' .*{said}"):
            check_weights(weights, "--init_weights")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda f: shutil.rmtree(f / "vae"), "lacks its folder vae/"),
        (lambda f: (f / UNET).unlink(), "unet' holds no weights"),
        (lambda f: (f / "unet/config.json").unlink(), "unet' lacks config.json"),
        (lambda f: (f / "unet/config.json").write_text("{"), "unet/config.json' is not whole JSON"),
        (lambda f: (f / "model_index.json").write_text(""), "model_index.json' is not whole JSON"),
        (lambda f: (f / "model_index.json").write_text("{}"), "names no _class_name"),
        (lambda f: (f / "scheduler/scheduler_config.json").write_text("["), "scheduler_config.j"),
    ],
)
def test_what_a_folder_lacks(folder: Path, spoil: Callable[[Path], None], complaint: str) -> None:
    spoil(folder)
    for load in (check_backbone, load_backbone):
        with pytest.raises(ValueError, match=complaint):
            load(str(folder))


def test_a_shard_that_its_index_lists(folder: Path) -> None:
    (folder / UNET).rename(folder / "unet/diffusion_pytorch_model-00001-of-00002.safetensors")
    names = ("00001-of-00002", "00002-of-00002")
    weights = {
        f"a{i}": f"diffusion_pytorch_model-{name}.safetensors" for i, name in enumerate(names)
    }
    index = folder / "unet/diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weights}))
    with pytest.raises(ValueError, match=r"00002-of-00002.safetensors' is missing; get it again"):
        check_backbone(str(folder))


def change(path: Path, spoil: Callable[[dict[str, Any]], object]) -> None:
    tensors = load_file(path)
    spoil(tensors)
    save_file(tensors, path, {"format": "pt"})


@pytest.mark.parametrize("name", FILES)
def test_a_weight_that_is_not_in_the_file_is_not_made_up(folder: Path, name: str) -> None:
    """diffusers and transformers would put random numbers there and log it."""
    change(folder / name, lambda tensors: tensors.pop(min(tensors)))
    with pytest.raises(ValueError, match=r"lacks weights: .*; get it again"):
        load_backbone(str(folder))


@pytest.mark.parametrize("name", FILES)
def test_a_weight_of_another_shape(folder: Path, name: str) -> None:
    def spoil(tensors: dict[str, Any]) -> None:
        first = next(key for key in sorted(tensors) if tensors[key].ndim > 1)
        tensors[first] = torch.ones(3, 3)

    change(folder / name, spoil)
    with pytest.raises(ValueError, match=r"--backbone .*cannot be loaded: .*; get it again"):
        load_backbone(str(folder))


def test_a_whole_denoiser_that_is_less_or_broken(tiny_folder: Path, folder: Path) -> None:
    change(folder / UNET, lambda tensors: tensors["conv_in.weight"].fill_(torch.nan))
    with pytest.raises(ValueError, match=r"'conv_in\.weight' is not finite"):
        load_backbone(str(tiny_folder), folder)
    change(folder / UNET, lambda tensors: tensors.pop("conv_in.weight"))
    with pytest.raises(ValueError, match=r"--weights .* lacks weights: .*conv_in.weight"):
        load_backbone(str(tiny_folder), folder)


@pytest.mark.parametrize("name", ["", " ", "someone/", "/x/y"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ValueError, match="neither an embedded model"):
        check_backbone(name)


def test_a_hub_id_without_network_says_so_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not after five tries of a library for every file."""
    import huggingface_hub

    def unreachable(self: Any, name: str, timeout: float) -> None:
        raise ConnectionError("Name or service not known")

    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", unreachable)
    monkeypatch.setattr(hub, "unreachable", lambda url: None)  # a host that answers, and no hub
    for offline, cause in [
        (True, "HF_HUB_OFFLINE is set"),
        (False, r"the hub cannot be reached \(ConnectionError: Name or service not known\)"),
    ]:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        started = time.perf_counter()
        with pytest.raises(ValueError, match=rf"'nobody/nothing' is not in the hub's .*{cause}"):
            load_backbone("nobody/nothing")
        assert time.perf_counter() - started < 5


def test_a_hub_that_answers_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[str] = []
    monkeypatch.setattr(
        huggingface_hub.HfApi, "model_info", lambda self, name, timeout: asked.append(name)
    )
    monkeypatch.setattr(hub, "unreachable", lambda url: None)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for _ in range(3):
        check_backbone("somebody/asked-once")
    assert asked == ["somebody/asked-once"]


def test_a_hub_id_in_the_cache_needs_no_network(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    snapshot = cache / "models--someone--tiny" / "snapshots" / "abc"
    shutil.copytree(folder, snapshot)
    (cache / "models--someone--tiny" / "refs").mkdir()
    (cache / "models--someone--tiny" / "refs" / "main").write_text("abc")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    backbone = load_backbone("someone/tiny")
    assert backbone.name == "someone/tiny"
    assert backbone.weights_sha256() == load_backbone(str(folder)).weights_sha256()
