"""Several processes make one folder: every candidate once, the bytes of one alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sipo.backbones.base import Backbone
from sipo.common.files.leases import STALE_S, FileStore, Owner
from sipo.common.processes import Process, this_process
from sipo.datagen.generation.build import prepare
from sipo.datagen.generation.run import generate, make_shard
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_guard import claim_folder
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.fake import FakeJudge

ONE_OF_TWO = """
import json, os, sys, time
from pathlib import Path
from sipo.backbones.registry import load_backbone
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge

class Slow(FakeJudge):
    seen = 0
    def judge(self, images, prompts):
        time.sleep(0.1)
        self.seen += len(images)
        return super().judge(images, prompts)

settings, here = GenerateSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2])
backbone = load_backbone(settings.backbone)
(here / f"ready-{os.getpid()}").touch()
while len(list(here.glob("ready-*"))) < 2:
    time.sleep(0.01)
judge = Slow()
generate(settings, backbone=backbone, judge=judge, progress=False)
print(json.dumps(judge.seen))
"""


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def start(settings: GenerateSettings, meeting: Path, rank: int) -> subprocess.Popen[str]:
    meeting.mkdir(exist_ok=True)
    words = [sys.executable, "-c", ONE_OF_TWO]
    words += [settings.model_dump_json(exclude_unset=True), str(meeting)]
    ranks = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    return subprocess.Popen(words, env=os.environ | ranks, stdout=subprocess.PIPE, text=True)


def test_two_processes_share_a_folder(
    settings: GenerateSettings, shards: Path, tmp_path: Path
) -> None:
    asked = settings.model_copy(update={"out": tmp_path / "shared"})
    both = [start(asked, tmp_path / "meeting", rank) for rank in range(2)]
    seen = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert all(seen)
    assert sum(seen) == 20  # no candidate twice
    assert bytes_of(asked.out) == bytes_of(shards)


def test_what_a_killed_process_had_begun_the_other_makes(
    settings: GenerateSettings, shards: Path, tmp_path: Path
) -> None:
    asked = settings.model_copy(update={"out": tmp_path / "shared"})
    dead, alive = (start(asked, tmp_path / "meeting", rank) for rank in range(2))
    lease, ends = asked.out / ".shard-000000.lease", time.monotonic() + 120
    while not lease.exists() and time.monotonic() < ends:
        time.sleep(0.005)
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    began = time.monotonic()
    alive.communicate(timeout=120)
    assert time.monotonic() - began < STALE_S - 20  # at once, not when the lease has gone stale
    assert alive.returncode == 0
    assert bytes_of(asked.out) == bytes_of(shards)


def test_the_lease_of_a_shard_that_a_dead_process_made_goes(
    settings: GenerateSettings, shards: Path, tiny_backbone: Backbone
) -> None:
    whole, me = bytes_of(shards), Owner.this_process()
    FileStore(shards).create("shard-000001", replace(me, pid=2**30, key="dead"))
    asked = settings.model_copy(update={"out": shards})
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(shards) == whole


def test_a_shard_is_a_function_of_its_number(
    settings: GenerateSettings, shards: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    asked = settings.model_copy(update={"out": tmp_path / "alone"})
    job = prepare(asked, backbone=tiny_backbone, judge=FakeJudge())
    folder = claim_folder(asked.out, job.config, (shards / "prompts.jsonl").read_bytes())
    for number in (2, 0):
        make_shard(job, folder, number)
    made, whole = bytes_of(asked.out), bytes_of(shards)
    names = [name for name in made if "-00000" in name]
    assert len(names) == 2 * 5  # two tars and their indexes, and the embeddings
    assert all(made[name] == whole[name] for name in names)
    generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(asked.out) == whole
    assert len(open_folder(asked.out).numbers) == 3


@pytest.mark.parametrize(
    ("environment", "process"),
    [
        ({}, Process()),
        ({"RANK": "3", "WORLD_SIZE": "8", "LOCAL_RANK": "1"}, Process(3, 8, 1)),
        ({"SLURM_PROCID": "3", "SLURM_NTASKS": "8", "SLURM_LOCALID": "1"}, Process(3, 8, 1)),
        (
            {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_STEP": "2"}
            | {"SLURM_ARRAY_TASK_COUNT": "5"},
            Process(2, 5, 0),
        ),
        (
            {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_ARRAY_TASK_COUNT": "2"}
            | {"SLURM_PROCID": "1", "SLURM_NTASKS": "2", "SLURM_LOCALID": "1"},
            Process(3, 4, 1),
        ),
    ],
)
def test_who_it_is_says_whoever_started_it(environment: dict[str, str], process: Process) -> None:
    assert this_process(environment) == process


def test_a_process_begins_with_its_part_and_goes_on_with_the_others() -> None:
    parts = [Process(rank, 3).first_its_own(range(7)) for rank in range(3)]
    assert [part[0] for part in parts] == [0, 2, 4]
    assert all(sorted(part) == list(range(7)) for part in parts)


def test_a_number_that_is_none_is_said() -> None:
    with pytest.raises(ValueError, match="the environment's RANK is 'x'"):
        this_process({"RANK": "x", "WORLD_SIZE": "2"})
