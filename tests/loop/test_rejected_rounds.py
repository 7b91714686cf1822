"""Loops whose rounds are not accepted."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from small_loop import MakeSettings, read, settings_for, stopped_at, timeless

from sipo.loop import rounds
from sipo.loop.tables import rounds_table
from sipo.loop.words import headline


@pytest.fixture(scope="module")
def rejected(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """Two rounds of which none can gain what is asked for."""
    folder = tmp_path_factory.mktemp("rejected")
    rounds.loop(settings_for(folder, tiny_folder, tolerance=-1))
    return folder / "loop"


def test_what_is_rejected_is_seen(rejected: Path) -> None:
    result = read(rejected / "loop.json")
    assert (result["best"], result["best_weights"]) == (0, None)
    assert [entry["round"] for entry in result["rounds"]] == [0, 1, 2]
    for entry in result["rounds"][1:]:
        assert (entry["attempt"], entry["accepted"]) == (2, False)
        [before] = entry["rejected"]
        assert (before["attempt"], before["reason"]) == (1, "not 1 above the base")
    assert not (rejected / "best").exists()
    page = (rejected / "report.html").read_text()
    assert page.count("<small>trained again</small>") == 2 * 2  # in both tables
    assert "No round of 2 is above the base" in page
    assert "Rejected and skipped: round 1, round 2." in page


def test_a_rejected_round_is_trained_again_from_where_it_began(rejected: Path) -> None:
    first, again = (
        yaml.safe_load((rejected / f"round-2/{name}/settings.yaml").read_text())
        for name in ("train", "train-2")
    )
    first_rate = first.pop("learning_rate")
    assert again.pop("learning_rate") == first_rate / 2
    assert again.pop("out").endswith("train-2")
    del first["out"]
    assert first == again
    before = yaml.safe_load((rejected / "round-1/train/settings.yaml").read_text())
    assert first_rate == before["learning_rate"] / 4  # round 1 was rejected twice
    assert not first.get("init_weights")  # round 1 was skipped, so round 2 is the base's
    hashes = [
        read(rejected / f"round-{k}/shards/config.json")["backbone"]["weights_sha256"]
        for k in (1, 2)
    ]
    assert hashes[0] == hashes[1]


def test_stopped_at_any_stage_it_goes_on_to_the_same(
    make_settings: MakeSettings, rejected: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(tolerance=-1, rounds=1)
    for stage, calls in [("_train", 1), ("evaluate", 1)]:
        with monkeypatch.context() as patch:
            patch.setattr(rounds, stage, stopped_at(calls, stage))
            with pytest.raises(KeyboardInterrupt):
                rounds.loop(settings)
    found, wanted = rounds.loop(settings).to_dict(), read(rejected / "loop.json")
    assert timeless(found["rounds"]) == timeless(wanted["rounds"][:2])


def test_a_training_whose_loss_is_not_finite_is_tried_again_and_skipped(
    make_settings: MakeSettings,
) -> None:
    """The loop goes on without it, says so, and does not do it again."""
    settings = make_settings(rounds=1)
    settings = make_settings(train=settings.train | {"learning_rate": 1e30}, rounds=1)
    result = rounds.loop(settings)
    assert [entry.round for entry in result.rounds] == [0]
    assert [entry.name for entry in result.lost] == ["round 1", "round 1 trained again"]
    assert all("the loss is not finite at step 2 (pairs " in each.reason for each in result.lost)
    assert not (settings.out / "round-1/eval").exists()
    assert "Ended at a loss that is not finite, and not evaluated: round 1." in headline(result)
    page = (settings.out / "report.html").read_text()
    assert page.count("the loss is not finite at step 2") == 2
    before = (settings.out / "stages.json").read_bytes()
    assert rounds.loop(settings) == result
    assert (settings.out / "stages.json").read_bytes() == before


@pytest.mark.slow
def test_patience_ends_the_loop(make_settings: MakeSettings) -> None:
    result = rounds.loop(make_settings(tolerance=-1, rounds=5, patience=1))
    assert [entry.round for entry in result.rounds] == [0, 1]
    lines = rounds_table(result).splitlines()
    assert [line.split()[0] for line in lines] == ["round", "0", "1", "1"]
    assert [line.split()[-1] for line in lines] == ["kept", "best", "no", "no"]
    assert [entry.round for entry in result.test] == [0]  # the base is the best
