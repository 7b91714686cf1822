"""Where a backbone computes, and what a device that is not there gets."""

from pathlib import Path

import pytest
import torch

from sipo.backbones.base import Backbone
from sipo.backbones.placement import place
from sipo.backbones.registry import load_backbone
from sipo.common.devices import find_device


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
    backbone = load_backbone(str(tiny_folder))
    vae = backbone._whole.vae  # type: ignore[attr-defined]
    place(backbone, torch.device("cpu"), offload=False)
    assert not vae.use_slicing
    backbone.to("meta")
    assert vae.use_slicing
