"""The variance of the Laplacian."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from sipo.common.pictures.picture import make_clip
from sipo.common.pictures.sharpness import sharpness


def grey(rows: list[list[int]]) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=np.uint8)).convert("RGB")


def test_by_hand() -> None:
    """Inner pixels of a dot at (1, 1) of 4 x 3: -4 * 200 and 200; mean -300, variance 500^2."""
    dot = grey([[0, 0, 0, 0], [0, 200, 0, 0], [0, 0, 0, 0]])
    assert sharpness(dot) == 500.0**2


def test_the_largest_values_fit() -> None:
    """A chessboard of 0 and 255: +-1020."""
    board = (np.indices((6, 6)).sum(0) % 2 * 255).tolist()
    assert sharpness(grey(board)) == 1020.0**2


def test_it_falls_as_a_picture_is_blurred() -> None:
    chance = np.random.default_rng(0)
    noisy = Image.fromarray(chance.integers(0, 256, (32, 32, 3), dtype=np.uint8))
    values = [sharpness(noisy.filter(ImageFilter.GaussianBlur(radius))) for radius in (0, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert values[0] > 10 * values[-1]
    assert sharpness(Image.new("RGB", (8, 8), "red")) == 0
    assert sharpness(Image.new("RGB", (2, 8), "red")) == 0  # no inner pixel


def test_of_a_clip_it_is_the_frames_mean() -> None:
    chance = np.random.default_rng(0)
    noisy = Image.fromarray(chance.integers(0, 256, (16, 16, 3), dtype=np.uint8))
    clip = make_clip([noisy, noisy.filter(ImageFilter.GaussianBlur(3))], fps=8)
    assert sharpness(clip) == pytest.approx(sum(map(sharpness, clip.frames)) / 2)
