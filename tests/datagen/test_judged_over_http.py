"""Shards judged over HTTP: what fails is counted and in no pair, and no key is left anywhere."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner
from scripted_server import Call, Said, asked, chat, scripted

from sipo.datagen.cli import main
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.sample_json import candidate_rows
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.remote import http_calls

KEY = "sk-a-key-that-must-not-leak"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_WAIT_S", 0.002)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def settings_file(folder: Path, **settings: object) -> Path:
    path = folder / "judge.json"
    path.write_text(json.dumps({"http": {"tries": 2, **settings}}))
    return path


def script(call: Call) -> Said:
    """Chances by the picture's bytes; nothing of the buses and boats."""
    if "bus" in asked(call) or "boat" in asked(call):
        return Said({"error": f"overloaded, {call.headers['Authorization']}"}, 500)
    share = sum(call.body["messages"][0]["content"][0]["image_url"]["url"].encode()) % 97
    return chat({"Yes": -0.01 - share / 30, "two": -0.01 - share / 30})


def test_what_fails_is_counted_and_paired_with_nothing(
    shards: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with scripted(script, models={"data": [{"id": "qwen"}]}) as server:
        how = ["--judge", f"http={server.url}/v1", "--judge-settings", settings_file(tmp_path)]
        asked_for = ["judge", shards, *how, "--out", tmp_path / "new"]
        made = CliRunner().invoke(main, [str(word) for word in asked_for])
        assert made.exit_code == 0, made.output
        calls = len(server.calls)
        again = CliRunner().invoke(main, [str(word) for word in asked_for])
        assert (again.exit_code, len(server.calls)) == (0, calls + 1), "the question at the start"
    cause = "no answer in 2 tries: 500 Internal Server Error"
    summary = json.loads((tmp_path / "new" / "summary.json").read_bytes())
    assert summary["failures"] == {cause: 4}
    assert f"4 candidates could not be judged: {cause}" in made.output
    folder = open_folder(tmp_path / "new")
    rows = [row for number in folder.numbers for _, row in candidate_rows(folder, number)]
    failed = [row for row in rows if row.verdict.failed]
    assert {row.prompt.text for row in failed} == {"a photo of a bus and a boat"}
    assert [row.verdict.score for row in failed] == [None] * 4
    pairs = PairDataset(tmp_path / "new")
    assert len(pairs) > 0
    assert "a photo of a bus and a boat" not in {pair.text for pair in pairs}
    judge = folder.config.judge.as_read()
    assert (judge["id"], judge["url"], judge["model"]) == ("http", f"{server.url}/v1", "qwen")
    said = "".join([made.output, again.output, caplog.text])
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in said
    assert KEY.encode() not in kept


def test_a_server_that_is_not_there_changes_nothing(shards: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in shards.rglob("*") if path.is_file()}
    with scripted(script) as server:
        pass
    how = ["--judge", f"http={server.url}", "--judge-settings", str(settings_file(tmp_path))]
    done = CliRunner().invoke(main, ["judge", str(shards), *how])
    assert done.exit_code == 2
    assert done.output.count("\n") == 1
    assert "gets no answer at http://127.0.0.1" in done.output
    assert {path: path.read_bytes() for path in shards.rglob("*") if path.is_file()} == before


def test_a_budget_ends_in_one_sentence_and_the_same_command_goes_on(
    shards: Path, tmp_path: Path
) -> None:
    """The rewards are those of one picture, so that each candidate is a call."""
    with scripted(lambda call: Said({"rewards": [call.number % 7 / 7]})) as server:
        how = ["--judge", f"http={server.url}", "--out", str(tmp_path / "new")]
        file = settings_file(tmp_path, batch=1, threads=1, most_calls=13)
        command = ["judge", str(shards), *how, "--judge-settings", str(file)]
        stopped = CliRunner().invoke(main, command)
        assert stopped.exit_code == 2
        assert stopped.output.count("Error: ") == 1
        assert "was called 13 times, its setting most_calls" in stopped.output
        done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert len(server.calls) < 25  # 20 candidates, and those of the shard that was begun
