"""`--denominator behaviour`: the policy that sampled the pairs is found by its hash."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from memory_pairs import MemoryPairs, Run

from sipo.backbones.registry import load_backbone


def sampled_by(*hashes: str) -> MemoryPairs:
    pairs = MemoryPairs(5)
    pairs.meta |= {"sampled_by": list(hashes), "dtype": "float32", "quantize": "no"}
    return pairs


def rows(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def first(run: Run, tmp_path: Path) -> Path:
    run("first", learning_rate=1e-2)
    return tmp_path / "first"


@pytest.mark.parametrize("full", [False, True])
def test_the_weight_is_1_where_the_policy_is_still_the_sampler(
    run: Run, tmp_path: Path, tiny_folder: Path, first: Path, full: bool
) -> None:
    earlier = load_backbone(str(tiny_folder), first).weights_sha256()
    given = {"init_weights": str(first), "ratio_scale": 1.0, "full": full, "mask": False}
    run("behaviour", sampled_by(earlier), denominator="behaviour", **given)
    run("ref", sampled_by(earlier), denominator="ref", **given)
    w = [rows(tmp_path / name)[0]["w"] for name in ("behaviour", "ref")]
    assert w[0] == pytest.approx(1, abs=1e-3)
    assert abs(w[1] - 1) > 0.01


def test_the_base_as_sampler_is_the_reference(
    run: Run, tmp_path: Path, tiny_folder: Path, first: Path
) -> None:
    base = load_backbone(str(tiny_folder)).weights_sha256()
    given = {"init_weights": str(first), "ratio_scale": 1.0}
    run("behaviour", sampled_by(base), denominator="behaviour", **given)
    run("ref", sampled_by(base), denominator="ref", **given)
    w = [[row["w"] for row in rows(tmp_path / name)] for name in ("behaviour", "ref")]
    assert w[0] == w[1]


def test_another_sampler_or_several_are_refused(run: Run, tiny_folder: Path, first: Path) -> None:
    base = load_backbone(str(tiny_folder)).weights_sha256()
    for pairs in (sampled_by("0" * 64), sampled_by(base, "0" * 64)):
        with pytest.raises(ValueError, match="--denominator 'behaviour' needs the one policy"):
            run("refused", pairs, denominator="behaviour", init_weights=str(first))
