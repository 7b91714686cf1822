"""Rounds that sample from the policy in training, and learn from earlier rounds' pairs again."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from safetensors.torch import load_file
from small_loop import MakeSettings, read, settings_for, stopped_at, timeless

from sipo.backbones.base import LORA_FILE
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.loop import rounds
from sipo.loop.attempts import Attempt
from sipo.loop.training_data import training_data
from sipo.train.monitor.log_rows import read_rows

SMALL = {"refresh": 2, "replay": 0.5, "generate": {"prompts_per_shard": "1"}}
"""Two samplings a round, of three steps: the second of the policy after two."""


@pytest.fixture(scope="module")
def refreshed(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("refreshed")
    rounds.loop(settings_for(folder, tiny_folder, **SMALL))
    return folder / "loop"


def sampled_by(folder: Path) -> str:
    found: str = read(folder / "config.json")["backbone"]["weights_sha256"]
    return found


def test_shards_say_which_policy_sampled_them(refreshed: Path) -> None:
    places = ["round-0/eval", "round-1/shards", "round-1/shards-2", "round-1/eval"]
    base, first, second, after = (sampled_by(refreshed / place) for place in places)
    assert base == first
    assert second not in (base, after)
    assert after == sampled_by(refreshed / "round-2/shards")
    round_1 = refreshed / "round-1"
    prompts = [(round_1 / f"{name}.jsonl").read_text() for name in ("prompts", "prompts-2")]
    assert prompts[0] != prompts[1]
    pairs = [read(round_1 / name / "summary.json")["pairs"] for name in ("shards", "shards-2")]
    assert read(refreshed / "loop.json")["rounds"][1]["pairs"] == sum(pairs)


def test_a_refreshed_training_is_one_run(refreshed: Path) -> None:
    """Its schedule, optimizer and log know nothing of when pairs came."""
    run = refreshed / "round-1/train"
    assert [row["step"] for row in read_rows(run / "log.jsonl")] == [1, 2, 3]
    kept = sorted(path.name for path in run.glob("checkpoint-*"))
    assert kept == ["checkpoint-2", "checkpoint-3"]


def test_stopped_between_samplings_it_goes_on_to_the_same(
    make_settings: MakeSettings, refreshed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(**SMALL, rounds=1)
    for stage, calls in [("_train", 0), ("_generate", 0), ("_train", 0)]:
        with monkeypatch.context() as patch:
            patch.setattr(rounds, stage, stopped_at(calls, stage))
            with pytest.raises(KeyboardInterrupt):
                rounds.loop(settings)
    (settings.out / "stages.json").unlink()  # the stages themselves know what is done
    found, wanted = rounds.loop(settings).to_dict(), read(refreshed / "loop.json")
    assert timeless(found["rounds"]) == timeless(wanted["rounds"][:2])
    here, there = (
        load_file(out / "round-1/train" / LORA_FILE) for out in (settings.out, refreshed)
    )
    assert all((here[name] == there[name]).all() for name in here)


def test_a_share_of_a_rounds_pairs_is_of_earlier_ones(
    make_settings: MakeSettings, refreshed: Path
) -> None:
    trained = yaml.safe_load((refreshed / "round-2/train/settings.yaml").read_text())["data"]
    ours, later, *earlier = trained
    assert [Path(ours).name, Path(later).name] == ["shards", "shards-2"]
    assert earlier
    assert all(Path(text).parent.name == "round-1" and ":" in text for text in earlier)
    new, old = len(PairDataset(ours)), len(PairDataset(earlier))
    most = max(len(PairDataset(f"{ours}:{number}")) for number in (0, 1))
    assert abs(old - new) <= 2 * most  # whole shards
    settings = make_settings(**SMALL, out=refreshed)
    assert training_data(settings, Attempt(2), 2) == trained
    assert training_data(settings, Attempt(1)) == [str(refreshed / "round-1/shards")]


def test_a_new_lora_learns_from_all_rounds(make_settings: MakeSettings, refreshed: Path) -> None:
    settings = make_settings(out=refreshed, start="base", generate=SMALL["generate"])
    folders = training_data(settings, Attempt(2))
    whole = {str(refreshed / f"round-1/{name}:0,1") for name in ("shards", "shards-2")}
    assert folders[0] == str(refreshed / "round-2/shards")
    assert set(folders[1:]) == whole
