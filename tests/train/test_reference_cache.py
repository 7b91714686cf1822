"""`--reference_draws`: the same losses as without the cache, fewer passes, exact resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alike import same_bits
from memory_pairs import MemoryPairs, Run

from sipo.backbones.base import LORA_FILE
from sipo.backbones.registry import load_backbone
from sipo.train.data.reference_cache import ReferenceCache
from sipo.train.objective import denoising_errors
from sipo.train.objective.denoising_errors import PairSource
from sipo.train.policy import Policy
from sipo.train.settings import make_settings

GIVEN: dict[str, Any] = {"reference_draws": 2, "timesteps_per_pair": 2, "learning_rate": 1e-2}


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "log.jsonl").read_text().splitlines()]


def test_draws_come_again_and_are_computed_once(
    tiny_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """5 pairs, 2 draws: epochs 0 and 2 are alike, 0 and 1 are not; 20 rows computed for 30."""
    settings = make_settings({"rank": 2, **GIVEN})
    policy = Policy(load_backbone(str(tiny_folder), denoiser_only=True), settings)
    source, rows = PairSource(policy, MemoryPairs(5), settings), []
    whole = denoising_errors.frozen_errors

    def counted(policy: Policy, noised: Any, which: Any) -> Any:
        rows.append(len(noised.timesteps) // 2)
        return whole(policy, noised, which)

    monkeypatch.setattr(denoising_errors, "frozen_errors", counted)
    epochs = [source.draw(range(5 * e, 5 * e + 5)) for e in range(3)]
    for e in range(3):
        source.measure(range(5 * e, 5 * e + 5), 0)
    assert sum(rows) == 20
    first, second, third = ({tuple(row.flatten().tolist()) for row in e.noise} for e in epochs)
    assert first == third
    assert first.isdisjoint(second)


def test_the_losses_are_those_without_a_cache(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("kept", max_train_steps=8, checkpointing_steps=8, **GIVEN)

    def nothing_is_kept(self: ReferenceCache, positions: Any, compute: Any) -> Any:
        return compute(range(self.timesteps * len(positions)))

    monkeypatch.setattr(ReferenceCache, "errors", nothing_is_kept)
    run("computed", max_train_steps=8, checkpointing_steps=8, **GIVEN)
    assert losses(tmp_path / "kept") == pytest.approx(losses(tmp_path / "computed"), rel=1e-3)


def test_resume_is_exact(run: Run, tmp_path: Path) -> None:
    """5 pairs a 2: the fourth step meets draws of the first, whatever came between."""
    run("whole", max_train_steps=8, checkpointing_steps=3, **GIVEN)
    for steps_done in (3, 6, 8):
        run("parts", max_train_steps=steps_done, checkpointing_steps=3, **GIVEN)
    assert same_bits(tmp_path / "whole" / LORA_FILE, tmp_path / "parts" / LORA_FILE)
