"""Weight files: LoRA, whole denoisers, judges' heads, checkpoints of a run."""

import io
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged
from outcome import outcome
from safetensors.torch import save

from sipo.backbones.base import LORA_FILE
from sipo.backbones.registry import load_backbone
from sipo.feedback.judge_weights import load_tensors
from sipo.train.checkpoint_files import load_state

SHAPES = st.lists(st.integers(0, 9), max_size=3)


@pytest.fixture(scope="module")
def lora() -> bytes:
    """As another tool may have written it: names of ours, shapes of whoever."""
    names = ("attn1.to_q.lora_A.weight", "attn1.to_q.lora_B.weight")
    block = "unet.down_blocks.0.attentions.0.transformer_blocks.0."
    return save({block + name: torch.zeros(2, 32) for name in names})


@given(data=st.data())
def test_lora_files(tmp_path: Path, tiny_folder: Path, lora: bytes, data: st.DataObject) -> None:
    folder = tmp_path / "run"
    folder.mkdir(exist_ok=True)
    name = data.draw(st.sampled_from(["unet.", "transformer.", "lora_unet_", "", "base_model."]))
    leaf = data.draw(st.sampled_from(["lora_A.weight", "lora_down.weight", "alpha", "weight", ""]))
    tensors = {f"{name}mid_block.to_q.{leaf}": torch.zeros(data.draw(SHAPES))}
    content = data.draw(st.sampled_from([lora, save(tensors), save({})]))
    if data.draw(st.booleans()):
        content = data.draw(damaged(content))
    (folder / LORA_FILE).write_bytes(content)
    outcome(lambda: load_backbone(str(tiny_folder), folder, denoiser_only=True), str(folder))


@given(data=st.data())
def test_damaged_denoisers(tmp_path: Path, tiny_folder: Path, data: st.DataObject) -> None:
    copy = tmp_path / "copy"
    if not copy.exists():
        shutil.copytree(tiny_folder, copy)
    files = sorted((copy / "unet").iterdir())
    path = data.draw(st.sampled_from(files))
    whole = path.read_bytes()
    path.write_bytes(data.draw(damaged(whole)))
    try:
        outcome(lambda: load_backbone(str(copy), denoiser_only=True), str(copy))
    finally:
        path.write_bytes(whole)


def _saved(value: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


@given(data=damaged(_saved({"weight": torch.zeros(2, 3), "bias": torch.zeros(2)})))
def test_heads_of_judges(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "head.pt"
    path.write_bytes(data)
    outcome(lambda: load_tensors(path), "head.pt")


@given(data=damaged(save({"weight": torch.zeros(2, 3)})))
def test_heads_of_judges_as_safetensors(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "head.safetensors"
    path.write_bytes(data)
    outcome(lambda: load_tensors(path), "head.safetensors")


@given(data=damaged(_saved({"step": 3, "policy": {"a": torch.zeros(2)}})))
def test_checkpoints(tmp_path: Path, data: bytes) -> None:
    checkpoint = tmp_path / "checkpoint-3"
    checkpoint.mkdir(exist_ok=True)
    (checkpoint / "state.pt").write_bytes(data)
    outcome(lambda: load_state(checkpoint), "state.pt")
