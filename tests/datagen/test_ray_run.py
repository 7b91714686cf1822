"""Workers of a Ray cluster make one folder: the bytes of one process, whatever befalls them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import needs
from small_cluster import small_cluster
from watched_judge import WatchedJudge

from sipo.datagen.generation.ray_run import generate_on_ray
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_summary import FolderSummary

pytestmark = needs("ray", "ray")
DOGS = "a photo of two dogs"  # of shard 0
BUS = "a photo of a bus and a boat"  # of shard 2


@pytest.fixture(scope="module")
def _cluster() -> Iterator[None]:
    with small_cluster():
        yield


@pytest.fixture
def asked(settings: GenerateSettings, tmp_path: Path, _cluster: None) -> GenerateSettings:
    """By a judge that watches `tmp_path`."""
    name, rules = "watched_judge:WatchedJudge", tmp_path / "judge.json"
    rules.write_text(json.dumps({name: {"folder": str(tmp_path)}}))
    own = {"judge": name, "judge_settings": rules, "runner": "ray", "workers": 2}
    return settings.model_copy(update={**own, "out": tmp_path / "ray"})


@pytest.fixture(scope="module")
def alone(settings: GenerateSettings, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes."""
    folder = tmp_path_factory.mktemp("alone")
    name, rules = "watched_judge:WatchedJudge", folder / "judge.json"
    rules.write_text(json.dumps({name: {"folder": str(folder)}}))
    own = {"judge": name, "judge_settings": rules, "out": folder / "shards"}
    generate(settings.model_copy(update=own), progress=False)
    return bytes_of(folder / "shards")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def made(settings: GenerateSettings) -> FolderSummary:
    return generate_on_ray(settings, progress=False)


def test_two_workers_make_the_bytes_of_one_process(
    asked: GenerateSettings, alone: dict[str, bytes], tmp_path: Path
) -> None:
    made(asked)
    assert bytes_of(asked.out) == alone
    assert set(WatchedJudge.seen(tmp_path).values()) == {4}
    assert len(list(tmp_path.glob("judged-*"))) == 2


@pytest.mark.slow
def test_what_a_killed_worker_had_in_hand_another_makes(
    asked: GenerateSettings, alone: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "die").write_text(DOGS)
    made(asked.model_copy(update={"workers": 1}))
    assert bytes_of(asked.out) == alone
    seen = WatchedJudge.seen(tmp_path)
    assert seen[BUS] == 4
    assert max(seen.values()) < 8  # begun again, and not a second time from its end


@pytest.mark.slow
def test_a_shard_that_fails_is_named_and_the_others_are_kept(
    asked: GenerateSettings, alone: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "raise").write_text(DOGS)
    says = r"shard-000000 failed in 2 tries: TypeError: a mistake of the judge \(.*watched_judge.py"
    with pytest.raises(ChildProcessError, match=says):
        made(asked.model_copy(update={"workers": 1, "tries": 2}))
    assert (tmp_path / "raised").read_text() == "xx"
    assert (asked.out / "pairs-000001.json").exists()
    assert not [path.name for path in asked.out.iterdir() if path.name.startswith(".")]
    (tmp_path / "raise").unlink()
    made(asked.model_copy(update={"workers": 1}))
    assert bytes_of(asked.out) == alone
    assert WatchedJudge.seen(tmp_path)[BUS] == 4


@pytest.mark.slow
def test_a_judge_with_workers_of_its_own(
    asked: GenerateSettings, alone: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "die").write_text(DOGS)
    made(asked.model_copy(update={"workers": 1, "judge_gpus": 0.0}))
    assert bytes_of(asked.out) == alone
    assert len(list(tmp_path.glob("judged-*"))) == 2  # the judge that died, and the next
