"""Warnings on rows made by hand: each disease is named, health is silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sipo.train.monitor.health import Health, diagnose_run

HEALTHY = {
    "psi_w": 0.5,
    "abs_z": 1.0,
    "error_w": 0.2,
    "error_l": 0.2,
    "ref_error_w": 0.2,
    "ref_error_l": 0.2,
    "gradient_factor": 0.3,
}


def judged(*halves: dict[str, Any], window: int = 4, **settings: Any) -> Health:
    """After that many rows of each; `settings` are the run's."""
    health = Health(window, settings)
    rows = [HEALTHY | half for half in halves for _ in range(window)]
    for step, row in enumerate(rows, 1):
        health.look(row | {"step": step})
    return health


def said(*halves: dict[str, Any], window: int = 4) -> list[str]:
    health = Health(window)
    rows = [HEALTHY | half for half in halves for _ in range(window)]
    return [s for step, row in enumerate(rows, 1) for s in health.look(row | {"step": step})]


@pytest.mark.parametrize(
    ("before", "now", "start"),
    [
        ({}, {"psi_w": -1.0}, "the winner's reward falls (+0.5 to -1)"),
        ({}, {"error_w": 0.21, "error_l": 0.22}, "both errors are above the reference's (+5.0%"),
        ({}, {"gradient_factor": 0.01}, "z is saturated"),
        ({}, {"abs_z": 0.001}, "z hardly moves"),
    ],
)
def test_a_disease_is_named_once(before: dict[str, Any], now: dict[str, Any], start: str) -> None:
    [sentence] = said(before, now, now)
    assert sentence.startswith(start)


def test_health_is_silent() -> None:
    """A low reward that no longer falls, errors that grow on losers only, a rising winner."""
    assert said({"psi_w": -1.0}, {"psi_w": -1.0}) == []
    assert said({}, {"error_l": 0.3}) == []
    assert said({"psi_w": -1.0}, {"psi_w": -0.5}) == []


def test_it_is_said_again_after_it_has_cleared() -> None:
    sick = {"gradient_factor": 0.01}
    assert len(said({}, sick, {}, {}, sick)) == 2


def test_a_cause_is_one_finding_with_its_steps() -> None:
    """Sick in rows 5 to 8 and 17 to 20, of windows of 4."""
    sick = {"gradient_factor": 0.01}
    [finding] = judged({}, sick, {}, {}, sick).findings.values()
    assert (finding.first, finding.last, finding.times) == (8, 20, 2)
    assert str(finding).startswith("steps 8 to 20 (2 times): z is saturated")


@pytest.mark.parametrize(
    ("sick", "settings", "advised", "not_advised"),
    [
        ({"psi_w": -1.0}, {}, "--winner_anchor 1", "nothing else"),
        ({"psi_w": -1.0}, {"winner_anchor": 1.0}, "Lower --learning_rate", "--winner_anchor"),
        ({"error_w": 0.3, "error_l": 0.3}, {}, "--validation_pairs", "validation/"),
        (
            {"error_w": 0.3, "error_l": 0.3},
            {"validation_pairs": 64},
            "Look at validation/;",
            "--validation_pairs",
        ),
    ],
)
def test_no_advice_is_what_the_run_has(
    sick: dict[str, Any], settings: dict[str, Any], advised: str, not_advised: str
) -> None:
    [finding] = judged({}, sick, **settings).findings.values()
    assert advised in finding.warning
    assert not_advised not in finding.warning


def test_a_collapse_advises_what_is_left_to_do() -> None:
    looks = [
        {"overall": overall, "prompts": {"colors": {str(i): overall for i in range(6)}}}
        for overall in (0.8, 0.2)
    ]
    for settings, advised in (
        ({}, "or train with --keep_best"),
        ({"keep_best": True}, "ends with"),
    ):
        health = Health(settings=settings)
        for step, seen in enumerate(looks, 1):
            health.look(HEALTHY | {"step": step, "validation": seen})
        health.look(HEALTHY | {"step": 3})
        [finding] = health.findings.values()
        assert (finding.first, finding.last, finding.times) == (2, 3, 1)
        assert advised in finding.warning


def test_two_warnings_do_not_advise_the_opposite() -> None:
    """Where nothing moves the winner's reward does not fall: its z is noise."""
    [sentence] = said({"abs_z": 0.001}, {"abs_z": 0.001, "psi_w": -0.001})
    assert "raise --beta_dpo or --learning_rate" in sentence


def test_a_run_is_judged_by_its_folder(tmp_path: Path) -> None:
    rows = [HEALTHY | {"step": step, "psi_w": 0.5 - step / 10} for step in range(1, 61)]
    (tmp_path / "log.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (tmp_path / "run.json").write_text('{"settings": {"winner_anchor": 1.0}}')
    [finding] = diagnose_run(tmp_path)
    assert (finding.first, finding.last, finding.times) == (50, 60, 1)
    assert finding.warning.endswith("Lower --learning_rate")
    (tmp_path / "run.json").write_text('{"settings": {"objective": "sft"}}')
    assert len(diagnose_run(tmp_path)) == 1


def clipped(*norms: float, **settings: Any) -> list[str]:
    """Of 16 rows, window 4, gradients of these norms, each four times."""
    halves = [{"grad_norm": norm} for norm in norms]
    return [f.warning for f in judged(*halves, **settings).findings.values()]


def test_gradients_that_grow_and_are_clipped_are_named() -> None:
    """Norm 1.2 at the start, 6 in the last quarter; remedies are what the run has not."""
    [sentence] = clipped(1.2, 1.3, 1.1, 6.0)
    assert "clipped in 100% of the last quarter (median norm 6, 1.2 at the start)" in sentence
    assert sentence.endswith("Lower --learning_rate, or add --safe_loser 0.9")
    for settings in ({"safe_loser": 0.9}, {"objective": "diffusion-sdpo"}):
        [sentence] = clipped(1.2, 1.3, 1.1, 6.0, **settings)
        assert sentence.endswith("Lower --learning_rate")


def test_gradients_that_are_large_or_grow_alone_are_none() -> None:
    assert clipped(5.0, 5.0, 5.0, 6.0) == []
    assert clipped(0.1, 0.1, 0.1, 0.9) == []
    assert clipped(1.2, 1.3, 1.1, 6.0, max_grad_norm=10.0) == []
    assert clipped(1.2, 6.0, 1.1, 1.1)  # seen in the middle, and cleared
    assert len(judged({}, {}).norms) == 0
