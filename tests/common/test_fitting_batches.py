"""Batches that halve when memory runs out."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import pytest
import torch

from sipo.common.fitting_batches import in_fitting_batches

CUDA = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nGPU 0 has")
CPU = RuntimeError(
    "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you "
    "tried to allocate 8 bytes. Error code 12 (Cannot allocate memory)"
)
CUBLAS = RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`")


class Machine:
    """Squares as many numbers at a time as its memory takes."""

    def __init__(self, most: int, error: Exception = CUDA) -> None:
        self.most, self.error = most, error
        self.seen: list[int] = []

    def work(self, batch: Sequence[int]) -> list[int]:
        self.seen.append(len(batch))
        if len(batch) > self.most:
            raise self.error
        return [number**2 for number in batch]

    def squares(self, count: int, size: int | None = None) -> list[int]:
        return in_fitting_batches(
            self, self.work, range(count), "squaring", "one number", "buy more", size
        )


@pytest.mark.parametrize("error", [CUDA, CPU, CUBLAS])
def test_the_batch_is_halved_once_and_stays_so(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(3, error)
    assert machine.squares(8) == [number**2 for number in range(8)]
    assert machine.seen == [8, 4, 2, 2, 2, 2]
    assert machine.squares(5, size=4) == [number**2 for number in range(5)]
    assert machine.seen[6:] == [2, 2, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "squaring 8 at a time ran out of memory; going on with 4 at a time",
        "squaring 4 at a time ran out of memory; going on with 2 at a time",
    ]
    assert Machine(9).squares(8, size=5) == machine.squares(8)


def test_one_that_is_too_many_is_one_sentence() -> None:
    says = r"^squaring ran out of memory with one number \(CUDA out of memory.*GiB\); buy more$"
    with pytest.raises(ValueError, match=says):
        Machine(0).squares(3)


def test_other_errors_are_none_of_its_business() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        Machine(1, RuntimeError("shape '[2]' is invalid")).squares(2)


def test_what_the_attempt_held_is_free_before_the_next() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def work(batch: Sequence[int]) -> list[int]:
        assert all(reference() is None for reference in held)
        tensor = torch.zeros(len(batch))
        held.append(weakref.ref(tensor))
        if len(batch) > 1:
            raise torch.OutOfMemoryError(f"no room for {tensor.shape}")
        return list(batch)

    assert in_fitting_batches(Machine(1), work, [1, 2, 3], "doing", "one", "none") == [1, 2, 3]
    assert len(held) == 4
