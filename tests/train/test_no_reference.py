"""`sft` and `mapo` neither keep nor run a reference; what is measured against one is absent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from alike import same_bits
from memory_pairs import Run

from sipo.backbones.base import LORA_FILE
from sipo.backbones.registry import load_backbone
from sipo.train.monitor.log_rows import read_rows
from sipo.train.monitor.metrics import OF_REFERENCE
from sipo.train.monitor.plot import plot
from sipo.train.objective.losses import OBJECTIVES
from sipo.train.policy import Policy, keeps_reference
from sipo.train.settings import make_settings


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The networks that predict, in order."""
    names: list[str] = []
    whole = Policy.predict

    def predict(self: Policy, which: Any, *given: Any) -> Any:
        names.append(which)
        return whole(self, which, *given)

    monkeypatch.setattr(Policy, "predict", predict)
    return names


def test_who_needs_one() -> None:
    without = {name for name, objective in OBJECTIVES.items() if not objective.needs_reference}
    assert without == {"sft", "mapo"}
    assert keeps_reference(make_settings({"objective": "ipo"}))
    for more in ({"denominator": "ref"}, {"winner_anchor": 1}):
        assert keeps_reference(make_settings({"objective": "sft", **more}))


@pytest.mark.parametrize("objective", ["sft", "mapo"])
def test_only_the_policy_predicts_and_the_weights_are_the_same(
    run: Run, tmp_path: Path, asked: list[str], monkeypatch: pytest.MonkeyPatch, objective: str
) -> None:
    run("without", objective=objective, reference_draws=1)
    assert set(asked) == {"trained"}
    monkeypatch.setattr("sipo.train.policy.keeps_reference", lambda settings: True)
    run("with", objective=objective, reference_draws=1)
    assert set(asked) == {"trained", "base"}
    assert same_bits(tmp_path / "without" / LORA_FILE, tmp_path / "with" / LORA_FILE)


@pytest.mark.parametrize(("objective", "copies"), [("sft", set()), ("sipo", {"base"})])
def test_no_copy_is_kept(tiny_folder: Path, objective: str, copies: set[str]) -> None:
    backbone = load_backbone(str(tiny_folder), denoiser_only=True)
    policy = Policy(backbone, make_settings({"objective": objective, "full": True}))
    assert set(policy.copies) == copies


def test_rows_plot_and_health_do_without(run: Run, tmp_path: Path, undrawn: list[object]) -> None:
    for name in ("sft", "mapo", "sipo"):
        run(name, objective=name, max_train_steps=60, checkpointing_steps=60)
    plain, odds, whole = (
        set(read_rows(tmp_path / name / "log.jsonl")[-1]) for name in ("sft", "mapo", "sipo")
    )
    of_psi = OF_REFERENCE | {"psi_w_by_t", "psi_l_by_t", "margin_by_t", "mse_gap"}
    assert whole - odds == of_psi
    assert whole - plain == of_psi | {"abs_z", "gradient_factor"}
    assert "NaN" not in (tmp_path / "sft" / "log.jsonl").read_text()
    page = plot([tmp_path / name for name in ("sft", "sipo")], tmp_path / "curves")
    assert ">none</td>" in page.read_text()
    summary = json.loads((tmp_path / "sft" / "summary.json").read_text())
    assert summary["warnings"] == []
