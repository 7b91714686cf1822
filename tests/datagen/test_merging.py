"""`sipo-data merge`: folders of one configuration as one, which everything takes as any other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from data_commands import bytes_of, refused, run
from written_prompts import write_prompts

from sipo.backbones.base import Backbone
from sipo.common.files import writing
from sipo.datagen.generation import merging
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.decisions import Decisions, names_of
from sipo.datagen.storage.judged_candidates import judged_candidates
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar


@pytest.fixture(scope="module")
def _other(
    settings: GenerateSettings, tiny_backbone: Backbone, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Of another seed: one prompt that the first folder has too, and one that it has not."""
    here = tmp_path_factory.mktemp("other")
    write_prompts([grammar.single_object("cat"), grammar.counting("cat", 2)], here / "prompts")
    asked = settings.model_copy(update={"out": here / "b", "prompts": here / "prompts", "seed": 7})
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    return here / "b"


@pytest.fixture
def other(_other: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(_other, tmp_path / "b"))


@pytest.fixture
def merged(shards: Path, other: Path, tmp_path: Path) -> Path:
    made = run("merge", shards, other, "--out", tmp_path / "c")
    assert made.exit_code == 0, made.output
    return tmp_path / "c"


def test_a_merged_folder_holds_what_both_hold(shards: Path, other: Path, merged: Path) -> None:
    """The first ends with a shard that is not full."""
    assert list(find_damage(merged)) == []
    assert run("validate", merged).exit_code == 0
    both = PairDataset([shards, other])
    pairs = PairDataset(merged)
    assert [pair.key for pair in pairs] == [pair.key for pair in both]
    assert [pair.text for pair in pairs] == [pair.text for pair in both]
    assert (merged / "pairs-000003.tar").samefile(other / "pairs-000000.tar")
    one, two, all_ = (
        json.loads((folder / "summary.json").read_bytes()) for folder in (shards, other, merged)
    )
    for count in ("prompts", "candidates", "pairs", "prompts_without_pairs"):
        assert all_[count] == one[count] + two[count]
    config = json.loads((merged / "config.json").read_bytes())
    assert [part["seed"] for part in config["merged"]] == [0, 7]
    assert (config["prompts"]["count"], config["shards"]) == (7, 4)
    index = json.loads((merged / "candidates-000003.json").read_bytes())
    assert index["shard"] == 3
    candidates, _ = judged_candidates([open_folder(merged)])
    assert len({candidate.prompt for candidate in candidates}) == 7


def test_killed_and_given_again_it_is_the_same(
    shards: Path, other: Path, merged: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, left = bytes_of(merged), [5]

    def dying(*args: object, **more: object) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        writing.write_json(*args, **more)  # type: ignore[arg-type]

    again = tmp_path / "again"
    monkeypatch.setattr(merging, "write_json", dying)
    with pytest.raises(KeyboardInterrupt):
        merging.merge_folders([shards, other], again)
    monkeypatch.undo()
    for _ in range(2):
        merging.merge_folders([shards, other], again)
        assert bytes_of(again) == whole


def test_it_is_judged_and_paired_as_any_folder(
    shards: Path, other: Path, merged: Path, tmp_path: Path
) -> None:
    before = bytes_of(shards)
    paired = run("pair", merged, "--margin", 0.6)
    assert paired.exit_code == 0, paired.output
    judged = run("judge", merged, "--judge", "fake", "--out", tmp_path / "judged")
    assert judged.exit_code == 0, judged.output
    for folder in (merged, tmp_path / "judged"):
        assert list(find_damage(folder)) == []
        assert len(PairDataset(folder)) < len(PairDataset([shards, other]))
    assert bytes_of(shards) == before


def test_a_merged_folder_is_merged_as_its_parts(
    shards: Path, other: Path, merged: Path, tmp_path: Path
) -> None:
    third = shutil.copytree(other, tmp_path / "third")
    config = json.loads((third / "config.json").read_bytes())
    apart = "have the same pictures of 2 prompts, as of 'a photo of a cat', by the same seed 7"
    assert apart in refused(run("merge", merged, third, "--out", tmp_path / "d"))
    assert not (tmp_path / "d").exists()
    assert config["seed"] == 7


def test_what_people_decided_holds(shards: Path, other: Path, tmp_path: Path) -> None:
    name = next(iter(names_of(open_folder(other), 0).values()))
    row = {"rater": "anna", "pair": name.key, "winner": name.winner, "decision": "drop"}
    (other / "review.jsonl").write_text(json.dumps(row) + "\n")
    merging.merge_folders([shards, other], tmp_path / "c")
    into = open_folder(tmp_path / "c")
    (found,) = [each for each in names_of(into, 3).values() if each.winner == name.winner][:1]
    assert Decisions(into).of(found) == "drop"
    assert PairDataset(tmp_path / "c").review["drop"] == 1


def test_what_cannot_be_merged_is_said(shards: Path, other: Path, tmp_path: Path) -> None:
    out = tmp_path / "c"
    assert "one folder is nothing to merge" in refused(run("merge", shards, "--out", out))
    assert "have the same pictures" in refused(run("merge", shards, shards, "--out", out))
    assert "is one of the folders" in refused(run("merge", shards, other, "--out", other))
    (other / "pairs-000000.json").unlink()
    assert "shard 0 is not whole" in refused(run("merge", shards, other, "--out", out))
    config = json.loads((other / "config.json").read_bytes())
    config["sampler"]["steps"] += 1
    (other / "config.json").write_text(json.dumps(config))
    assert "foreign" in refused(run("merge", shards, other, "--out", out))
    assert not out.exists()


def test_the_key_that_differs_is_named(
    shards: Path, other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("pair", other, "--margin", 0.5).exit_code == 0
    said = refused(run("merge", shards, other, "--out", tmp_path / "c"))
    assert f"{shards} and {other} differ in margin: 0.2 and 0.5" in said


def test_a_merged_folder_is_not_gone_on_with(
    settings: GenerateSettings, tiny_backbone: Backbone, merged: Path
) -> None:
    asked = settings.model_copy(update={"out": merged})
    with pytest.raises(ValueError, match="was made by sipo-data merge; give another --out"):
        generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
