"""Shards are whole or not there, the same bytes for the same command, stopped or not."""

from __future__ import annotations

import errno
import fnmatch
import gc
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds
from PIL import Image

from sipo.backbones.base import Backbone
from sipo.common.errors import is_disk_full
from sipo.common.files.writing import write_json
from sipo.datagen.generation.rejudging import judge_folder, pair_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.shard_tar import TarSample, read_fields, scan, write_shard
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

KILLED = """
import os, signal, sys
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge

class Killer(FakeJudge):
    left = 5
    def judge(self, images, prompts):
        self.left -= 1
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().judge(images, prompts)

generate(GenerateSettings.model_validate_json(sys.argv[1]), judge=Killer(), progress=False)
"""


class StoppingJudge(FakeJudge):
    """Stops the program at its n-th call, as control-C would."""

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.calls = calls

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.calls -= 1
        if not self.calls:
            raise KeyboardInterrupt
        return super().judge(images, prompts)


class OtherJudge(FakeJudge):
    """Another opinion under another name."""

    def describe(self) -> dict[str, str]:
        return {"id": "other"}

    def _one(self, image: Image.Image, prompt: Prompt) -> Verdict:
        kept = super()._one(image, prompt)
        assert kept.score is not None
        return kept.model_copy(update={"score": 1 - kept.score, "judge": self.describe()})


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def at(settings: GenerateSettings, out: Path) -> GenerateSettings:
    return settings.model_copy(update={"out": out})


def test_index_and_scan_agree_on_every_member(tmp_path: Path) -> None:
    path = tmp_path / "candidates-000000.tar"
    fields = {"png": b"x" * 700, "json": b"{}", "latents.npy": b""}
    samples = [TarSample(f"cand-{i:08d}", fields, {"tag": "t"}) for i in range(3)]
    write_shard(path, samples, lambda: {"kind": "candidates"})
    index = json.loads(path.with_suffix(".json").read_bytes())
    members = {key: entry["members"] for key, entry in index["samples"].items()}
    assert members == {k: {n: list(v) for n, v in m.items()} for k, m in scan(path).items()}
    assert read_fields(path, members["cand-00000001"]) == fields


def test_a_full_disk_leaves_nothing_and_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.json"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"config\.json") as caught:
        write_json(path, {})
    assert is_disk_full(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_the_same_command_makes_the_same_bytes(
    settings: GenerateSettings, shards: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    again = at(settings, tmp_path / "elsewhere")
    generate(again, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(again.out) == bytes_of(shards)
    assert str(tmp_path).encode() not in (again.out / "config.json").read_bytes()


def test_any_number_of_workers_makes_the_same_bytes(
    settings: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    made = []
    for workers in (2, 3):
        asked = at(settings, tmp_path / str(workers)).model_copy(update={"workers": workers})
        generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
        made.append(bytes_of(asked.out))
    assert made[0] == made[1]


@pytest.mark.parametrize("calls", [1, 3, 4, 6])
def test_a_stopped_run_continues_to_the_same_bytes(
    calls: int, settings: GenerateSettings, shards: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    asked = at(settings, tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt):
        generate(asked, backbone=tiny_backbone, judge=StoppingJudge(calls), progress=False)
    assert not list(asked.out.glob(".*"))
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(asked.out) == bytes_of(shards)


def test_a_killed_process_continues_to_the_same_bytes(
    settings: GenerateSettings, shards: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    asked = at(settings, tmp_path / "killed")
    done = subprocess.run(
        [sys.executable, "-c", KILLED, asked.model_dump_json(exclude_unset=True)], check=False
    )
    assert done.returncode == -signal.SIGKILL
    names = {path.name for path in asked.out.iterdir()}
    assert "candidates-000000.json" in names
    assert fnmatch.filter(names, ".candidates-000001.tar.*.tmp")
    assert "candidates-000001.tar" not in names
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(asked.out) == bytes_of(shards)


def test_what_is_done_is_not_sampled_again(
    settings: GenerateSettings,
    shards: Path,
    tiny_backbone: Backbone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sampled: list[str] = []
    real = tiny_backbone.sample

    def counted(texts: Sequence[str], *rest: object) -> object:
        sampled.extend(texts)
        return real(texts, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(tiny_backbone, "sample", counted)
    before = bytes_of(shards)
    generate(at(settings, shards), backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert sampled == []
    (shards / "candidates-000002.json").unlink()
    (shards / "pairs-000000.tar").unlink()
    generate(at(settings, shards), backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert len(sampled) == 4
    assert bytes_of(shards) == before


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"seed": 1}, "--seed 0, this command says 1"),
        ({"steps": 3}, "--steps 2, this command says 3"),
        ({"margin": 0.5}, "--margin 0.2"),
        ({"policy": "best-vs-worst"}, "--policy"),
        ({"num_prompts": 3}, "--prompts or --num-prompts"),
    ],
)
def test_another_command_in_the_folder_is_refused(
    change: dict[str, object],
    name: str,
    settings: GenerateSettings,
    shards: Path,
    tiny_backbone: Backbone,
) -> None:
    before = bytes_of(shards)
    asked = at(settings, shards).model_copy(update=change)
    with pytest.raises(ValueError, match=name):
        generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(shards) == before


def test_a_folder_without_shards_takes_a_new_command(
    settings: GenerateSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    asked = at(settings, tmp_path / "new")
    with pytest.raises(KeyboardInterrupt):
        generate(asked, backbone=tiny_backbone, judge=StoppingJudge(1), progress=False)
    smaller = asked.model_copy(update={"batch_size": 2, "num_prompts": 1})
    made = generate(smaller, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert made.candidates == 4


def test_pairing_again_and_back_gives_the_first_bytes(shards: Path) -> None:
    before = bytes_of(shards)
    fewer = pair_folder(shards, policy="best-vs-worst")
    assert fewer.pairs <= 5
    assert bytes_of(shards) != before
    pair_folder(shards, policy="all-over-margin")
    assert bytes_of(shards) == before


def test_judging_again_changes_verdicts_and_no_pixel(shards: Path) -> None:
    before = bytes_of(shards)
    with pytest.raises(KeyboardInterrupt):
        judge_folder(shards, "other", judge=_stopping_other(), progress=False)
    with pytest.raises(ValueError, match="sipo-data judge"):
        pair_folder(shards, margin=0.0)
    judge_folder(shards, "other", judge=OtherJudge(), progress=False)
    tar = shards / "candidates-000001.tar"
    assert bytes_of(shards)[tar.name] != before[tar.name]
    judge_folder(shards, "fake", judge=FakeJudge(), progress=False)
    assert bytes_of(shards) == before


def _stopping_other() -> FakeJudge:
    class Both(StoppingJudge, OtherJudge):
        pass

    return Both(4)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves closing to the collector
def test_webdataset_reads_candidates_and_pairs(shards: Path) -> None:
    urls = sorted(str(path) for path in shards.glob("pairs-*.tar"))
    pairs = list(wds.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert pairs
    for sample in pairs:
        assert sample["winner.png"].size == (16, 16)
        assert sample["loser.npy"].dtype == np.float32
        assert sample["json"]["margin"] >= 0.2
    urls = sorted(str(path) for path in shards.glob("candidates-*.tar"))
    candidates = list(wds.WebDataset(urls, shardshuffle=False).decode("pil"))
    assert [sample["__key__"] for sample in candidates] == [f"cand-{i:08d}" for i in range(20)]
    assert candidates[0]["latents.npy"].shape == (4, 8, 8)
    gc.collect()


def test_two_writers_do_not_share_a_folder(shards: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    descriptor = os.open(shards, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(ValueError, match="another sipo-data"):
        pair_folder(shards, margin=0.5)
    os.close(descriptor)
    shutil.rmtree(shards)
