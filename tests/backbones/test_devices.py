"""Where a backbone computes, and what a device that is not there gets."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

from sipo.backbones.base import Backbone
from sipo.backbones.placement import place
from sipo.backbones.registry import load_backbone
from sipo.common.devices import dtype_on, find_device


def test_a_device_that_is_not_there_is_one_sentence() -> None:
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^--device 'tpu9' cannot be used \(.*\); try 'cpu'$"):
        find_device("tpu9")


def test_offload_is_for_a_gpu(tiny_backbone: Backbone) -> None:
    place(tiny_backbone, torch.device("cpu"), offload=False)
    with pytest.raises(ValueError, match="--offload moves models off a GPU"):
        place(tiny_backbone, torch.device("cpu"), offload=True)


def test_a_card_decodes_image_by_image(tiny_folder: Path) -> None:
    """Any device that is no CPU stands for the card; on a CPU batches stay whole."""
    backbone: Any = load_backbone(str(tiny_folder))
    vae, conv = backbone._whole.vae, backbone.denoiser.conv_in
    before = backbone.weights_sha256()
    place(backbone, torch.device("cpu"), offload=False)
    backbone._tile(1024, 1032)
    assert (vae.use_slicing, vae.use_tiling, is_channels_last(conv.weight)) == (False, False, False)
    backbone.denoiser.to(memory_format=torch.channels_last)
    assert backbone.weights_sha256() == before
    place(backbone, torch.device("meta"), offload=False)
    assert (vae.use_slicing, is_channels_last(conv.weight)) == (True, True)
    for height, width, tiled in ((1024, 1024, False), (1024, 1032, True), (512, 512, False)):
        backbone._tile(height, width)
        assert vae.use_tiling == tiled


def is_channels_last(weight: torch.Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("device", "native", "asked", "dtype"),
    [
        ("cpu", True, "auto", "float32"),
        ("cpu", True, "bfloat16", "bfloat16"),
        ("cuda", True, "auto", "bfloat16"),
        ("cuda", False, "auto", "float32"),
        ("cuda", False, "float16", "float16"),
    ],
)
def test_dtype_by_hardware(
    device: str, native: bool, asked: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def supported(including_emulation: bool) -> bool:
        return native or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    assert dtype_on(torch.device(device), asked) == dtype
