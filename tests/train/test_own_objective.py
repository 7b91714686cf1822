"""A loss from outside: docs/own-parts.md, section "An objective", as it stands there."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import pytest
from memory_pairs import Run
from own_parts import install, python_blocks
from test_objectives import errors, weights

from sipo.common import plugins
from sipo.train.objective.registry import find_objective
from sipo.train.settings import make_settings

SMOOTHED = "my_losses:smoothed"
REWARDED = """
from dataclasses import replace
from sipo.train.objective.losses import Objective, sft

def regression(errors, weights, beta):
    scored = errors.scored
    losses = scored.reward_w * errors.winner + scored.reward_l * errors.loser
    return replace(sft(errors, weights, beta), losses=losses)

rewarded = Objective(regression, data="candidates")
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder one is in, with the page's `my_losses.py`."""
    (tmp_path / "my_losses.py").write_text("\n\n".join(python_blocks("An objective")))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for name in ("my_losses", "others"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    plugins._loaded.cache_clear()
    return tmp_path


def test_the_pages_loss_is_worked_by_hand(here: Path) -> None:
    """z = 1: .9 log(1 + e^-1) + .1 log(1 + e) = .4132617."""
    loss = find_objective(SMOOTHED).loss(errors(0.3, 0.5), weights(1.0), 10.0)
    assert float(loss.losses) == pytest.approx(0.4132617, rel=1e-6)
    assert find_objective("my_losses:unpaired").data == "verdicts"
    assert find_objective(SMOOTHED).data == "pairs"


def test_scored_candidates_have_rewards_and_products(here: Path, run: Run) -> None:
    """Reward-weighted regression, two lines of a user's."""
    (here / "others.py").write_text(REWARDED)
    assert find_objective("others:rewarded").data == "candidates"
    run("own", objective="others:rewarded", max_train_steps=2)
    first = json.loads((here / "own" / "log.jsonl").read_text().splitlines()[0])
    assert first["loss"] == pytest.approx(first["error_w"])  # rewards 1 and 0


def test_it_trains_and_the_run_keeps_where_it_is_from(here: Path, run: Run) -> None:
    run("own", objective=SMOOTHED, max_train_steps=2)
    run("dpo", objective="diffusion-dpo", max_train_steps=2, beta_dpo=1000)
    source = hashlib.sha256((here / "my_losses.py").read_bytes()).hexdigest()
    kept = json.loads((here / "own" / "run.json").read_text())
    assert kept["objective"] == {"name": SMOOTHED, "version": None, "source_sha256": source}
    assert "objective" not in json.loads((here / "dpo" / "run.json").read_text())
    logs = [(here / name / "log.jsonl").read_text().splitlines() for name in ("own", "dpo")]
    first, plain = (json.loads(lines[0]) for lines in logs)
    assert first["loss"] == pytest.approx(plain["loss"], rel=1e-6)  # at z = 0 both are log 2
    last, plain = (json.loads(lines[-1]) for lines in logs)
    assert last["psi_w"] != plain["psi_w"]


def test_a_changed_source_is_another_loss(here: Path, run: Run) -> None:
    run("own", objective=SMOOTHED, max_train_steps=2)
    file = here / "my_losses.py"
    file.write_text(file.read_text().replace("wrong=0.1", "wrong=0.2"))
    plugins._loaded.cache_clear()
    with pytest.raises(ValueError, match=r"was started with the source of --objective"):
        run("own", objective=SMOOTHED, max_train_steps=3)


def test_an_installed_name(here: Path) -> None:
    install(here, "sipo.objectives", smoothed=SMOOTHED)
    part = find_objective(make_settings({"objective": "smoothed"}).objective).part
    assert part is not None
    assert (part.name, part.version) == ("smoothed", "1.5")
    with pytest.raises(ValueError, match="choose one of smoothed, sipo, dpo-cm"):
        make_settings({"objective": "smothed"})


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("x = 3", "'others:x' is no function"),
        ("def x(errors, weights, beta): return errors.winner", "'others:x' gave Tensor; it takes"),
        (
            "def x(errors, weights, beta):\n"
            "    from sipo.train.objective.losses import diffusion_dpo\n"
            "    loss = diffusion_dpo(errors, weights, beta)\n"
            "    return type(loss)(loss.losses.sum(), loss.mask, loss.z, loss.psi_w, loss.psi_l)",
            "five tensors, one value a row",
        ),
        ("y = 3", "cannot be imported"),
    ],
)
def test_what_is_no_loss_is_refused(here: Path, run: Run, code: str, sentence: str) -> None:
    (here / "others.py").write_text(code)
    with pytest.raises(ValueError, match=sentence):
        run("other", objective="others:x")
    assert not (here / "other").exists()
