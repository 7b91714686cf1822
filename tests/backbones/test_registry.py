"""Names, folders and weights that are no backbone; the families have their own tests."""

from inspect import signature
from pathlib import Path

import pytest
import torch
from diffusers import SanaPipeline

from sipo.backbones.base import Backbone, Sampler
from sipo.backbones.images.sana import INSTRUCTION
from sipo.backbones.registry import load_backbone

SAMPLER = Sampler(steps=3, guidance=3.0)


def test_another_seed_or_prompt_is_another_candidate(tiny_backbone: Backbone) -> None:
    a, b, c = tiny_backbone.sample(["a cat", "a cat", "a dog"], [1, 2, 1], SAMPLER)
    assert not torch.allclose(a.latents, b.latents)
    assert not torch.allclose(a.latents, c.latents)


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("no/such/folder", "neither an embedded model"),
        ("nonsense", "neither an embedded model"),
        ("./empty", "neither an embedded model"),
    ],
)
def test_an_unknown_backbone_is_one_sentence(name: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        load_backbone(name)


def test_another_family_says_what_is_supported(tmp_path: Path) -> None:
    (tmp_path / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}')
    with pytest.raises(ValueError, match="KandinskyPipeline, which has no backbone file"):
        load_backbone(str(tmp_path))


def test_weights_of_another_architecture_are_refused(tmp_path: Path, tiny_folder: Path) -> None:
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 32),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
    )
    unet.save_pretrained(tmp_path / "unet")
    with pytest.raises(ValueError, match="does not fit backbone"):
        load_backbone(str(tiny_folder), weights=tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        load_backbone(str(tiny_folder), weights=tmp_path / "absent")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ValueError, match=r"holds neither pytorch_lora_weights.safetensors nor unet/"
    ):
        load_backbone(str(tiny_folder), weights=tmp_path / "empty")


def test_sanas_instruction_is_its_pipelines() -> None:
    """A copy of a default of diffusers': another release may have another."""
    call = signature(SanaPipeline.__call__).parameters
    assert call["complex_human_instruction"].default == list(INSTRUCTION)
