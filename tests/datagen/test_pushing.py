"""`sipo-data push`, and the card that goes with it, against a stand-in of the hub."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner
from hub_stand_in import TOKEN, Hub, stand_in

from sipo.common.files.locks import only_writer
from sipo.datagen.cli import main
from sipo.datagen.storage.dataset_card import command_of
from sipo.datagen.storage.shard_folder import open_folder

# of httpx, which huggingface_hub calls so
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants

    with stand_in() as there:
        monkeypatch.setattr(constants, "ENDPOINT", there.url)
        template = there.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield there


@pytest.fixture
def mine(shards: Path, tmp_path: Path) -> Path:
    """A copy of the fixture's folder."""
    return Path(shutil.copytree(shards, tmp_path / "mine"))


def push(*words: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["push", *map(str, words)])
    return done.exit_code, " ".join(done.output.split())


def test_a_folder_goes_with_its_card_and_again_sends_nothing(hub: Hub, mine: Path) -> None:
    asked = mine, "--repo-id", "me/pairs", "--license", "cc-by-4.0", "--private"
    code, text = push(*asked)
    assert code == 0, text
    there = hub.repos["datasets/me/pairs"]
    assert hub.private["datasets/me/pairs"]
    ours = {path.name: path.read_bytes() for path in mine.iterdir() if path.is_file()}
    ours = {name: data for name, data in ours.items() if not name.startswith(".")}
    del ours["sources.json"]  # where a judge's own files lie on this machine
    assert there.keys() == ours.keys()
    differ = {name for name in ours if there[name] != ours[name]}
    assert differ <= {"README.md", "summary.json"}
    head = yaml.safe_load(there["README.md"].decode().split("---")[1])
    assert head["license"] == "cc-by-4.0"
    assert json.loads(there["summary.json"]) == json.loads(ours["summary.json"])
    before = len(hub.commits)
    code, text = push(*asked)
    assert (code, f"0 of {len(ours)} files were new" in text) == (0, True), text
    assert len(hub.commits) == before
    assert TOKEN not in text


def test_a_push_that_was_stopped_sends_the_rest(
    hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sipo.common.hub_upload.AT_ONCE_FILES", 3)
    hub.commits_allowed = 2
    asked = mine, "--repo-id", "me/pairs", "--license", "mit"
    code, text = push(*asked)
    assert (code, "same command sends what is missing" in text) == (2, True)
    assert "README.md" not in hub.repos["datasets/me/pairs"]
    hub.commits_allowed = 10**6
    assert push(*asked)[0] == 0
    sent = [name for commit in hub.commits for name in commit]
    assert len(sent) == len(set(sent))
    assert {"README.md", "summary.json"} <= hub.repos["datasets/me/pairs"].keys()
    assert sent[0] == "config.json"


def test_only_finished_shards(hub: Hub, mine: Path) -> None:
    last = open_folder(mine).numbers[-1]
    (mine / f"pairs-{last:06d}.json").unlink()
    code, text = push(mine, "--repo-id", "me/pairs", "--license", "mit")
    assert (code, "1 of" in text and "not finished, and stay here" in text) == (0, True)
    assert f"candidates-{last:06d}.tar" not in hub.repos["datasets/me/pairs"]


def test_a_dry_run_sends_nothing_and_says_all(hub: Hub, mine: Path) -> None:
    before = {path.name for path in mine.iterdir()}
    code, text = push(mine, "--repo-id", "me/pairs", "--license", "mit", "--dry-run")
    assert code == 0
    assert "to the dataset 'me/pairs' (public" in text
    assert "pairs-000000.tar" in text
    assert "licence of the pictures: mit" in text
    assert (hub.repos, {path.name for path in mine.iterdir()}) == ({}, before)


def test_what_is_refused(hub: Hub, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "--repo-id", "me/pairs"
    code, text = push(mine, *name)
    assert (code, "give --license" in text) == (2, True)
    code, text = push(mine, *name, "--license", "mit", "--token", "secret")
    assert (code, "a token is no option" in text) == (2, True)
    with only_writer(mine, "sipo-data"):
        assert "is writing to" in push(mine, *name, "--license", "mit")[1]
    assert push(mine, *name, "--license", "mit")[0] == 0
    code, text = push(mine, *name, "--license", "mit", "--private")
    assert (code, "there already and public" in text) == (2, True)
    row = json.loads(hub.repos["datasets/me/pairs"]["config.json"])
    hub.repos["datasets/me/pairs"]["config.json"] = json.dumps(row | {"seed": 99}).encode()
    code, text = push(mine, *name, "--license", "mit")
    assert (code, "holds the shards of another command" in text) == (2, True)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    code, text = push(mine, "--repo-id", "me/other", "--license", "mit")
    assert (code, "the hub refuses (401" in text) == (2, True)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    code, text = push(mine, "--repo-id", "me/other", "--license", "mit")
    assert (code, "needs a token of the hub" in text) == (2, True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    code, text = push(mine, "--repo-id", "me/other", "--license", "mit")
    assert (code, "HF_HUB_OFFLINE is set" in text) == (2, True)


def test_datasets_reads_the_folder_by_its_card(shards: Path) -> None:
    datasets = pytest.importorskip("datasets")
    for name, picture in (("pairs", "winner.png"), ("candidates", "png")):
        rows = datasets.load_dataset(str(shards), name, split="train", streaming=True)
        first = next(iter(rows))
        assert first["json"]["prompt"]["prompt"]
        assert first[picture].size[0] > 0
        assert len(list(rows)) > 1  # verdicts that differ in kind, which a guess of types fails on


def test_the_card_tells_how_it_was_made(shards: Path) -> None:
    text = (shards / "README.md").read_text()
    head = yaml.safe_load(text.split("---")[1])
    assert [one["config_name"] for one in head["configs"]] == ["pairs", "candidates"]
    assert head["license"] == "unknown"  # of a base that has no card
    config = open_folder(shards).config
    command = command_of(config)
    assert command in text
    assert f"--candidates {config.candidates}" in command
    assert "judge `fake`" in text
    assert str(shards.parent) not in text
