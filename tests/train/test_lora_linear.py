"""Our LoRA of a linear layer beside peft's."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import LoraConfig
from peft.tuners import lora
from torch import Tensor, nn

from sipo.backbones.registry import load_backbone
from sipo.train.lora_linear import LoraLinear, use_fewer_passes
from sipo.train.policy import Policy
from sipo.train.settings import make_settings


def both(tiny_folder: Path, alpha: int = 4) -> list[nn.Module]:
    """The tiny UNet with a LoRA that is not zero: as peft makes it, and ours."""
    unet = load_backbone(str(tiny_folder), denoiser_only=True).denoiser.requires_grad_(False)
    config = LoraConfig(r=4, lora_alpha=alpha, target_modules=["to_q", "to_v", "to_out.0"])
    unet.add_adapter(config)
    with torch.no_grad():
        for name, value in unet.named_parameters():
            if "lora_B" in name:
                value.normal_(0, 0.1)
    ours = copy.deepcopy(unet)
    use_fewer_passes(ours)
    return [unet, ours]


def outputs(network: nn.Module, dtype: torch.dtype | None = None) -> list[Tensor]:
    """What it says of one batch, then all gradients."""
    chance = torch.Generator().manual_seed(0)
    noisy, text = (torch.randn(s, generator=chance) for s in ((2, 4, 8, 8), (2, 3, 32)))
    with torch.autocast("cpu", dtype, enabled=dtype is not None):
        said = network(noisy, torch.tensor([3, 900]), text).sample
    said.float().square().sum().backward()
    trained = [value for value in network.parameters() if value.requires_grad]
    return [said.detach(), *(value.grad for value in trained if value.grad is not None)]


@pytest.mark.parametrize(
    ("alpha", "dtype", "close"), [(4, None, 1e-5), (6, None, 1e-4), (4, torch.bfloat16, 0.2)]
)
def test_the_same_function(
    tiny_folder: Path, alpha: int, dtype: torch.dtype | None, close: float
) -> None:
    """With s = 1 in float32 the same bits, where it was tried."""
    theirs, ours = (outputs(network, dtype) for network in both(tiny_folder, alpha))
    assert len(theirs) == len(ours) > 10
    for one, other in zip(theirs, ours, strict=True):
        assert float((one - other).norm() / one.norm()) < close


def test_no_pass_over_the_whole_output_is_left(tiny_folder: Path) -> None:
    """peft multiplies and adds what is as large as the layer's output."""
    counts = []
    for network in both(tiny_folder):
        with torch.profiler.profile() as profile:
            outputs(network)
        counts.append(sum(e.count for e in profile.key_averages() if e.key == "aten::mul"))
    layers = sum(isinstance(module, LoraLinear) for module in network.modules())
    assert layers > 3
    assert counts[1] <= counts[0] - layers


def test_the_policy_trains_it_and_switches_it_off(tiny_folder: Path) -> None:
    policy = Policy(load_backbone(str(tiny_folder), denoiser_only=True), make_settings({"rank": 2}))
    kinds = {type(m) for m in policy.denoiser.modules() if isinstance(m, lora.LoraLayer)}
    assert kinds == {LoraLinear}
    noisy, at = torch.ones(1, 4, 8, 8), torch.tensor([5])
    text = {"encoder_hidden_states": torch.ones(1, 3, 32)}
    for name, value in policy.trainable().items():
        if "lora_B" in name:
            value.data.fill_(0.1)
    trained, base = (policy.predict(which, noisy, at, text) for which in ("trained", "base"))
    plain = load_backbone(str(tiny_folder), denoiser_only=True)
    assert not torch.equal(trained, base)
    assert torch.equal(base, plain.predict(plain.denoiser.eval(), noisy, at, text))


def test_a_half_base_outside_of_autocast_is_as_before(tiny_folder: Path) -> None:
    layers = []
    for network in both(tiny_folder):
        layer = next(m for m in network.modules() if isinstance(m, lora.Linear))
        layer.base_layer.bfloat16()
        layers.append(layer(torch.ones(2, 3, layer.in_features, dtype=torch.bfloat16)))
    assert layers[0].dtype == layers[1].dtype == torch.bfloat16
    assert torch.equal(*layers)
