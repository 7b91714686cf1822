"""A loop whose folder is in a store."""

from __future__ import annotations

from pathlib import Path

import pytest
from alike import same_bits
from object_stores import remote
from small_loop import MakeSettings, read

from sipo.backbones.loading.trained_weights import find_weights
from sipo.loop.rounds import loop


@pytest.mark.slow
def test_a_loop_in_a_store_ends_as_one_on_a_disk(
    finished: Path, make_settings: MakeSettings
) -> None:
    url = "memory://loops/one"
    done = loop(make_settings(out=url, rounds=1))
    local, there = finished, remote(url)
    lora = find_weights(there / "round-1" / "train").lora
    assert lora is not None
    assert same_bits(local / "round-1" / "train" / lora.name, lora)
    first = read(local / "loop.json")["rounds"][1]
    assert done.rounds[1].overall == first["overall"]
    assert done.best_weights == "round-1/train"
    assert same_bits(find_weights(there / "best").lora, lora)
    before = there.files()
    loop(make_settings(out=url, rounds=1))
    changed = {name for name, mark in there.files().items() if before.get(name) != mark}
    assert all(name in WRITTEN_AGAIN or is_of_a_card(name) for name in changed)


WRITTEN_AGAIN = {"loop.json", "report.html", "stages.json"}


def is_of_a_card(name: str) -> bool:
    """Of the best policy's, beside it and in the copy of it."""
    return "/pictures/" in name or name.endswith("/README.md") or name.startswith("best/")
