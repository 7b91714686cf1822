"""Where a backbone computes, and what a device that is not there gets."""

import pytest
import torch

from sipo.backbones.base import Backbone
from sipo.backbones.placement import place
from sipo.common.devices import find_device


def test_a_device_that_is_not_there_is_one_sentence() -> None:
    assert find_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match=r"^--device 'tpu9' cannot be used \(.*\); try 'cpu'$"):
        find_device("tpu9")


def test_offload_is_for_a_gpu(tiny_backbone: Backbone) -> None:
    place(tiny_backbone, torch.device("cpu"), offload=False)
    with pytest.raises(ValueError, match="--offload moves models off a GPU"):
        place(tiny_backbone, torch.device("cpu"), offload=True)
