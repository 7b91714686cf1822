"""--quantize: what is asked of diffusers, and a base in int8 that samples and carries a LoRA."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from needs import needs
from sampled_pairs import SampledPairs
from tiny_flux import tiny_flux

from sipo.backbones.loading import bits
from sipo.backbones.loading.quantized import quantization, stored
from sipo.backbones.registry import load_backbone
from sipo.train.settings import make_settings
from sipo.train.trainer import train


def test_nothing_is_asked_of_diffusers_unless_said() -> None:
    assert quantization("no", torch.float32) is None
    with pytest.raises(
        ValueError, match="--quantize 'int3' is unknown; choose one of no, nf4, int8"
    ):
        quantization("int3", torch.float32)


@pytest.mark.parametrize("name", ["nf4", "int8"])
def test_a_missing_library_is_one_sentence(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bits, "find_spec", lambda library: None)
    with pytest.raises(ValueError, match=rf"--quantize '{name}' needs .*; pip install 'sipo\["):
        quantization(name, torch.float32)


@needs("bitsandbytes", "quantize")
def test_nf4_is_qloras(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its base is quantized on a GPU only; here only what diffusers would be asked."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="'nf4' needs a GPU; 'int8' does not"):
        quantization("nf4", torch.bfloat16)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = quantization("nf4", torch.bfloat16)
    assert asked.load_in_4bit
    assert asked.bnb_4bit_use_double_quant
    assert (asked.bnb_4bit_quant_type, asked.bnb_4bit_compute_dtype) == ("nf4", torch.bfloat16)


@needs("torchao", "quantize")
def test_an_int8_base_samples_and_carries_a_lora(tmp_path: Path) -> None:
    """Near the whole one, a third of its bytes, with a hash of its own; the LoRA loads onto it."""
    folder = str(tiny_flux(tmp_path / "flux"))
    whole: Any = load_backbone(folder)
    small, again = (load_backbone(folder, denoiser_only=True, quantize="int8") for _ in range(2))
    assert small.weights_sha256() == again.weights_sha256() != whole.weights_sha256()
    assert 2 * bytes_of(small) < bytes_of(whole)
    pairs = SampledPairs(whole, ["a red cat", "two dogs"])
    latents = pairs[0].winner[None]
    conditioning = {name: value[None] for name, value in pairs[0].conditioning.items()}
    with torch.no_grad():
        ours, theirs = (
            b.predict(b.denoiser, latents, torch.tensor([500]), conditioning)
            for b in (small, whole)
        )
    assert 0 < (ours - theirs).abs().max() < 0.05 * theirs.abs().max()

    given = {"max_train_steps": 3, "train_batch_size": 1, "rank": 2, "learning_rate": 0.05}
    given |= {"report_to": "none", "mask": False, "out": str(tmp_path / "run")}
    train(make_settings(given | {"quantize": "int8", "gradient_checkpointing": True}), again, pairs)
    sampler = whole.default_sampler
    before, after = (
        load_backbone(folder, weights=weights, quantize="int8").sample(["a red cat"], [0], sampler)
        for weights in (None, tmp_path / "run")
    )
    near, moved = (
        float((x.latents - y.latents).abs().max())
        for x, y in ((before[0], pairs.winners[0]), (before[0], after[0]))
    )
    assert near < 0.1 * moved
    whole.denoiser.save_pretrained(tmp_path / "whole" / "transformer")
    with pytest.raises(ValueError, match="holds a whole denoiser, and --quantize"):
        load_backbone(folder, weights=tmp_path / "whole", quantize="int8")


def bytes_of(backbone: Any) -> int:
    return sum(t.nbytes for value in backbone.denoiser.state_dict().values() for t in stored(value))
