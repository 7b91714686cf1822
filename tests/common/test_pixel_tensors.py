"""Pixels -> [-1, 1] -> pixels."""

import numpy as np
import torch

from sipo.common.pictures.tensors import to_pixels, to_tensor


def test_every_value_comes_back() -> None:
    pixels = np.arange(2 * 4 * 32 * 3, dtype=np.uint8).reshape(2, 4, 32, 3)
    tensor = to_tensor(pixels)
    assert tensor.shape == (2, 3, 4, 32)
    assert tensor[0, 2, 0, 1] == np.float32(pixels[0, 0, 1, 2]) / 127.5 - 1
    assert (to_pixels(tensor) == pixels).all()
    assert to_tensor(np.array([[[0, 255, 51]]], np.uint8)).flatten().tolist()[:2] == [-1, 1]


def test_what_lies_outside_is_clamped() -> None:
    assert to_pixels(torch.tensor([-7.0, 7.0]).reshape(2, 1, 1)).flatten().tolist() == [0, 255]
