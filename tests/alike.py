"""What "the same" means of two computations of one value.

Which kernel computes a product, and so its last bits, depends on the CPU, the number of threads,
and on whether a weight wants a gradient: PyTorch makes one matrix of a linear layer's strided
batches if it does, and multiplies batch by batch if it is frozen, as ours are and plain diffusers'
are not (`should_fold` in aten/src/ATen/native/LinearAlgebra.cpp). Pictures of the same model and
seed are therefore near, not equal, and those of another far away. Exact equality is for what is
promised exactly: one machine, the same command, stopped or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file
from torch import Tensor

from sipo.feedback.rule.verdict import Verdict

NEAR, FAR = 2, 10  # of 255: the largest difference of two pictures
ROUNDING = 1e-5  # of the largest value
Z_ROUNDING = 1e-5  # of beta


def assert_same_picture(one: Any, other: Any) -> None:
    """Images, arrays of uint8, or clips as sequences of frames."""
    assert _apart(one, other) <= NEAR


def assert_other_picture(one: Any, other: Any) -> None:
    assert _apart(one, other) >= FAR


def _apart(one: Any, other: Any) -> int:
    """The largest difference of two values, of 255; printed for `pytest -rP`."""
    a, b = (_pixels(picture) for picture in (one, other))
    assert a.shape == b.shape
    largest = int(np.abs(a - b).max())
    print(f"{largest} of 255")
    return largest


def _pixels(picture: Any) -> np.ndarray[Any, Any]:
    frames = picture if isinstance(picture, list | tuple) else [picture]
    return np.stack([np.asarray(frame) for frame in frames]).astype(int)


def deviation(ours: Tensor, theirs: Tensor) -> float:
    """The largest, relative to the largest value; printed for `pytest -rP`."""
    assert ours.shape == theirs.shape
    largest = float((ours - theirs).abs().max() / theirs.abs().max())
    print(f"{largest:.2g}")
    return largest


def assert_same_values(ours: Tensor, theirs: Tensor) -> None:
    """But for rounding."""
    assert deviation(ours, theirs) < ROUNDING


def same_bits(one: Path, other: Path) -> bool:
    """Of two files of weights: what resuming on one machine promises."""
    a, b = load_file(one), load_file(other)
    return a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)


def assert_close_weights(one: Path, other: Path, start: Path, within: float = 0.01) -> None:
    """Apart by less than this share of the way they came from `start`.

    Where a gradient is zero but for rounding, as a bias's before a normalisation, AdamW walks as
    far as anywhere else, in a direction that rounding decides. Printed for `pytest -rP`.
    """
    a, b, before = (load_file(path) for path in (one, other, start))
    assert a.keys() == b.keys() == before.keys()
    share = _distance(a, b) / _distance(a, before)
    print(f"{share:.2g}")
    assert share < within


def _distance(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> float:
    return float(sum(float((a[name] - b[name]).square().sum()) for name in a) ** 0.5)


def is_reference(row: Mapping[str, Any], name: str = "abs_z") -> bool:
    """Whether a line of log.jsonl is of a policy that is its reference, but for rounding."""
    return bool(row[name] < Z_ROUNDING * row["beta"])


def assert_same_verdict(one: Verdict, other: Verdict) -> None:
    """The same decision on the same boxes, but for rounding."""
    assert one.correct == other.correct
    assert one.score == pytest.approx(other.score, abs=1e-4)
    assert [box.class_name for box in one.boxes] == [box.class_name for box in other.boxes]
    for box, same in zip(one.boxes, other.boxes, strict=True):
        assert box.score == pytest.approx(same.score, abs=1e-4)
        assert box.xyxy == pytest.approx(same.xyxy, abs=1e-2)
