"""A model that is divided while it is loaded: the same run, in a share of the memory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from alike import same_bits
from lora_files import diffusers_names, updates, write
from memory_pairs import MemoryPairs, Run
from safetensors.torch import load_file
from test_processes import FULL, GIVEN, compare, on_two_processes

from sipo.backbones.base import LORA_FILE
from sipo.backbones.loading.unread import Values, fuse, load_into, unread
from sipo.backbones.registry import load_backbone
from sipo.train.checkpoint_files import load_state
from sipo.train.settings import make_settings
from sipo.train.trainer import train

ATTENTION = ("to_q", "to_k", "to_v", "to_out.0")
BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks"
WAYS: dict[str, dict[str, Any]] = {
    "lora": {"reference": "init", "mixed_precision": "bf16"},
    "full": {"full": True, "reference": "init", "ema_decay": 0.5},
    "kto": {"full": True, "objective": "diffusion-kto"},
    "nft": {"objective": "nft", "reference": "init"},
}
"""Frozen networks: a LoRA's base and its own beginning; those of a LoRA that became weights."""


def trained(out: Path, steps: int, **given: Any) -> None:
    """On one process, by a base model that it loads itself."""
    asked = {"out": str(out), "max_train_steps": steps, "report_to": "none"}
    train(make_settings(asked | {"train_batch_size": 4} | given), dataset=MemoryPairs(5))


@pytest.mark.parametrize(
    "way",
    [pytest.param(way, marks=[pytest.mark.slow] if way in ("kto", "full") else []) for way in WAYS],
)
def test_divided_from_its_files_it_is_the_same_run(
    tmp_path: Path, tiny_folder: Path, tiny_backbone: Any, way: str
) -> None:
    """Two steps on one process and two divided among two, who read the base and --init_weights
    from their files; the third on one again."""
    given = GIVEN | WAYS[way] | {"backbone": str(tiny_folder), "checkpointing_steps": 1}
    if way != "kto":
        changed = updates(tiny_backbone.pipeline, "unet", ATTENTION, rank=2, by=0.3)
        given["init_weights"] = str(write(tmp_path / "a.safetensors", diffusers_names(changed)))
    one, two = tmp_path / "one", tmp_path / "two"
    trained(one, 3, **given)
    asked = {"max_train_steps": 2, "report_to": "none", "out": str(two)}
    asked |= {"train_batch_size": 2, "shard_weights": True}
    on_two_processes(tiny_folder, given | asked)
    start, file = one / "checkpoint-1", FULL if given.get("full") else LORA_FILE
    within = 0.15 if way == "lora" else 0.01  # bf16 rounds
    compare(one / "checkpoint-2", two / "checkpoint-2", start, file, within)
    trained(two, 3, **given)
    compare(one, two, start, file, within)


def test_no_process_holds_the_model(tmp_path: Path) -> None:
    """Peaks of the resident set, in two processes, of a FLUX of 138 MB trained whole."""
    sys.path.insert(0, str(BENCHMARK))
    import sharded_memory

    size = 4 * sharded_memory.make_model(tmp_path / "model", 384, 4, 6) / 2**20  # MiB
    given = {"full": True, "objective": "sft", "shard_weights": True, "data": []}
    for peaks in sharded_memory.measure(tmp_path, 2, given | {"out": str(tmp_path / "run")}):
        assert peaks["start"] < 1.5 * size  # a half of it and of the reference; whole, they are 2
        assert peaks["checkpoint"] < peaks["step"] + 0.5 * size  # gathered, it is 3


def test_a_lora_becomes_weights_that_are_unread(
    tiny_folder: Path, tmp_path: Path, tiny_backbone: Any
) -> None:
    """Exactly those of a network that is in memory, of which a copy keeps the base's."""
    changed = updates(tiny_backbone.pipeline, "unet", ATTENTION, rank=2, alpha=5.0)
    file = write(tmp_path / "a.safetensors", diffusers_names(changed))
    whole = load_backbone(str(tiny_folder), file, denoiser_only=True).denoiser
    fuse(whole)
    with unread():
        left = load_backbone(str(tiny_folder), file, denoiser_only=True).denoiser
    fuse(left)
    values = Values(left)
    assert values.keys() == whole.state_dict().keys()
    for name, value in whole.state_dict().items():
        assert torch.equal(value, values[name]), name


def test_other_weights_take_the_place_of_unread_ones(
    tiny_folder: Path, tmp_path: Path, run: Run
) -> None:
    run("one", full=True, max_train_steps=1, learning_rate=1e-3)
    whole = load_backbone(str(tiny_folder), tmp_path / "one", denoiser_only=True)
    with unread():
        left = load_backbone(str(tiny_folder), tmp_path / "one", denoiser_only=True)
    assert left.weights_sha256() == whole.weights_sha256()
    load_into(left.denoiser, load_backbone(str(tiny_folder), denoiser_only=True).denoiser)
    assert left.weights_sha256() == load_backbone(str(tiny_folder)).weights_sha256()


@pytest.mark.parametrize("full", [False, True])
def test_checkpoints_of_one_file_go_on(run: Run, tmp_path: Path, full: bool) -> None:
    """As they were written before tensors had a file of their own: the same bits."""
    given = {"full": full, "ema_decay": 0.5, "checkpointing_steps": 1}
    run("one", max_train_steps=2, **given)
    run("two", max_train_steps=1, **given)
    checkpoint = tmp_path / "two" / "checkpoint-1"
    state = load_state(checkpoint)
    torch.save(_read(state), checkpoint / "state.pt")
    (checkpoint / "state.safetensors").unlink()
    run("two", max_train_steps=2, **given)
    name = FULL if full else LORA_FILE
    assert same_bits(tmp_path / "one" / name, tmp_path / "two" / name)


def _read(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _read(one) for key, one in value.items()}
    return value if isinstance(value, torch.Tensor) or not hasattr(value, "begin") else value[:]


def test_all_weights_are_kept_once_and_as_diffusers_writes_them(
    run: Run, tmp_path: Path, tiny_folder: Path
) -> None:
    run("one", full=True, max_train_steps=1)
    checkpoint = tmp_path / "one" / "checkpoint-1"
    names = load_file(checkpoint / "state.safetensors")
    assert {name.partition("/")[0] for name in names} == {"optimizer"}
    trained = load_backbone(str(tiny_folder), checkpoint, denoiser_only=True)
    trained.denoiser.save_pretrained(tmp_path / "unet")
    for name in ("config.json", Path(FULL).name):
        ours, theirs = (f / name for f in (checkpoint / "unet", tmp_path / "unet"))
        assert ours.read_bytes() == theirs.read_bytes()
