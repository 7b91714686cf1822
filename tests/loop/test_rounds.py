"""Rounds on a real, tiny pipeline: what they write, and that interruptions change nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from small_loop import MakeSettings, read, stopped_at, timeless

from sipo.common.files.locks import only_writer
from sipo.loop import rounds
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.stage_settings import evaluation, shards, training

LORA = "train/pytorch_lora_weights.safetensors"


def places(finished: Path) -> dict[str, Path]:
    """Settings that differ between tests: where files are."""
    folder = finished.parent
    return {
        "out": finished,
        "prompts": folder / "learn.jsonl",
        "eval_prompts": folder / "held-out.jsonl",
        "test_prompts": folder / "test.jsonl",
    }


def test_what_a_loop_writes(finished: Path) -> None:
    result = read(finished / "loop.json")
    assert [entry["round"] for entry in result["rounds"]] == [0, 1, 2]
    base, first, _ = result["rounds"]
    assert base["gain"] is None
    assert base["pairs"] is None
    assert set(base["tags"]) == {"single_object", "counting", "colors"}
    assert first["pairs"] == read(finished / "round-1/shards/summary.json")["pairs"] > 0
    assert first["gain"]["difference"] == pytest.approx(first["overall"] - base["overall"])
    assert first["gain"]["interval"] is None  # the suite has one prompt a tag
    assert first["gain"]["no_interval"].startswith("single_object, counting, colors: one prompt")
    assert first["judge_overall"] == first["overall"]  # the same fake judge twice
    assert set(first["stage_minutes"]) == {"shards", "train", "eval", "eval-judge"}
    assert (finished / "round-0/eval/00002/samples/0001.png").is_file()
    assert (finished / "round-2" / LORA).is_file()


def test_a_round_learns_from_the_one_before_on_the_next_prompts(finished: Path) -> None:
    used = [(finished / f"round-{k}/shards/prompts.jsonl").read_text() for k in (1, 2)]
    assert used == [(finished / f"round-{k}/prompts.jsonl").read_text() for k in (1, 2)]
    lines = [line for text in used for line in text.splitlines()]
    assert len(lines) == len(set(lines)) == 4  # all there are, before one comes again
    hashes = [
        read(finished / f"round-{k}/{stage}/config.json")["backbone"]["weights_sha256"]
        for k, stage in [(0, "eval"), (1, "shards"), (1, "eval"), (2, "shards"), (2, "eval")]
    ]
    assert hashes[0] == hashes[1]
    assert hashes[2] == hashes[3]
    assert len(set(hashes)) == 3


def test_settings_of_the_stages(make_settings: MakeSettings) -> None:
    settings, first, second = make_settings(), Attempt(1), Attempt(2)
    begun = training(settings, first, BASE)
    assert (begun.init_weights, begun.reference) == ("", "base")
    assert training(settings, second, first).init_weights == str(settings.out / "round-1/train")
    assert training(settings, second, first).reference == "init"
    assert training(make_settings(reference="base"), second, first).reference == "base"
    seeds = [shards(settings, attempt, None).seed for attempt in (first, second)]
    assert seeds[1] != seeds[0] != evaluation(settings, first).seed


def test_interruptions_change_nothing(
    make_settings: MakeSettings, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(rounds=1)
    for stage, calls in [("evaluate", 1), ("_generate", 0), ("_train", 0), ("evaluate", 1)]:
        with monkeypatch.context() as patch:
            patch.setattr(rounds, stage, stopped_at(calls, stage))
            with pytest.raises(KeyboardInterrupt):
                rounds.loop(settings)
    result = rounds.loop(settings)
    assert timeless(result.to_dict()["rounds"]) == timeless(
        read(finished / "loop.json")["rounds"][:2]
    )
    here, there = (read(out / "round-1/eval/summary.json") for out in (settings.out, finished))
    assert here["backbone"] == there["backbone"]
    assert here["images_sha256"] == there["images_sha256"]


def test_the_same_command_again_begins_no_stage(
    make_settings: MakeSettings, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(finished / "loop.json")
    for name in ("_generate", "_train", "evaluate"):
        monkeypatch.setattr(rounds, name, stopped_at(0, name))
    assert rounds.loop(make_settings(**places(finished))).to_dict() == before


def test_other_settings_in_the_same_folder_are_refused(
    make_settings: MakeSettings, finished: Path
) -> None:
    changed = make_settings(**places(finished), rank=4)
    with pytest.raises(ValueError, match=r"was started with --rank 2, .* give another --out"):
        rounds.loop(changed)


def test_how_many_at_a_time_may_be_another(
    make_settings: MakeSettings, finished: Path, tmp_path: Path
) -> None:
    where = places(finished) | {"out": shutil.copytree(finished, tmp_path / "copy")}
    changed = make_settings(**where, generate={"batch_size": 3}, evaluate={"batch_size": 1})
    assert rounds.loop(changed).to_dict()["rounds"] == read(finished / "loop.json")["rounds"]


def test_two_loops_in_one_folder_are_refused(make_settings: MakeSettings, finished: Path) -> None:
    with (
        only_writer(finished, "sipo-loop"),
        pytest.raises(ValueError, match=r"another sipo-loop is writing to .*; wait for it"),
    ):
        rounds.loop(make_settings(**places(finished)))
