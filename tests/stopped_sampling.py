"""A backbone that is stopped while it samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from sipo.backbones.base import Backbone, Generated, Sampler


def stop_at(
    backbone: Backbone, batch: int, work: Callable[[], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`work` is ended by Ctrl-C while `backbone` samples its n-th batch."""
    sample, calls = backbone.sample, 0

    def stopped(texts: Sequence[str], seeds: Sequence[int], sampler: Sampler) -> list[Generated]:
        nonlocal calls
        calls += 1
        if calls == batch:
            raise KeyboardInterrupt
        return sample(texts, seeds, sampler)

    with monkeypatch.context() as patched:
        patched.setattr(backbone, "sample", stopped)
        with pytest.raises(KeyboardInterrupt):
            work()
