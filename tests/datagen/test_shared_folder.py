"""Several processes make one folder: every candidate once, the bytes of one alone."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed

from sipo.backbones.base import Backbone
from sipo.common.files.leases import STALE_S, FileStore, Owner
from sipo.common.processes import Process, this_process
from sipo.datagen import several_processes
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation.build import prepare
from sipo.datagen.generation.rejudging import judge_folder
from sipo.datagen.generation.run import generate, make_shard
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.folder_guard import claim_folder
from sipo.datagen.storage.folder_summary import summarize
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

ONE_OF_TWO = """
import os, sys, time
from pathlib import Path
from sipo.backbones.registry import load_backbone
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge

class Slow(FakeJudge):
    def judge(self, images, prompts):
        time.sleep(0.1)
        return super().judge(images, prompts)

settings, here = GenerateSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2])
backbone = load_backbone(settings.backbone)
(here / f"ready-{os.getpid()}").touch()
while len(list(here.glob("ready-*"))) < 2:
    time.sleep(0.01)
generate(settings, backbone=backbone, judge=Slow(), progress=False)
"""


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def start(settings: GenerateSettings, meeting: Path, rank: int) -> subprocess.Popen[str]:
    meeting.mkdir(exist_ok=True)
    words = [sys.executable, "-c", ONE_OF_TWO]
    words += [settings.model_dump_json(exclude_unset=True), str(meeting)]
    ranks = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    return subprocess.Popen(words, env=os.environ | ranks, stdout=subprocess.PIPE, text=True)


def test_two_devices_make_the_bytes_of_one(
    settings: GenerateSettings, shards: Path, tmp_path: Path
) -> None:
    asked = settings.model_copy(update={"out": tmp_path / "shared", "devices": "2"})
    made = several_processes.generate(asked, progress=False)
    assert made == summarize(open_folder(shards))
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


class Slow(FakeJudge):
    """Of another opinion than the folder's; `seen` pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def describe(self) -> dict[str, str]:
        return {"id": "slow"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        time.sleep(0.05)
        self.seen += len(images)
        own = {"judge": self.describe()}
        return [verdict.model_copy(update=own) for verdict in super().judge(images, prompts)]


def at_once(*works: Callable[[], object]) -> None:
    with ThreadPoolExecutor(len(works)) as pool:
        for done in [pool.submit(work) for work in works]:
            done.result(timeout=120)


@pytest.mark.parametrize("in_place", [True, False])
def test_two_judge_one_folder_again(shards: Path, tmp_path: Path, in_place: bool) -> None:
    alone = Path(shutil.copytree(shards, tmp_path / "alone"))
    out = None if in_place else tmp_path / "new"
    judge_folder(alone, "x", judge=Slow(), progress=False, out=out and tmp_path / "new-alone")
    judges = [Slow(), Slow()]
    works = [
        partial(judge_folder, shards, "x", judge=judge, progress=False, out=out) for judge in judges
    ]
    at_once(*works)
    assert sum(judge.seen for judge in judges) == 20  # no candidate twice
    assert all(judge.seen for judge in judges)
    assert bytes_of(out or shards) == bytes_of(tmp_path / "new-alone" if out else alone)


def test_two_encode_one_folder(tiny_backbone: Backbone, tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 5)
    small: dict[str, Any] = {"resolution": PX, "pairs_per_shard": 1}
    folders = [tmp_path / name for name in ("alone", "shared")]
    for out in folders:
        settings = ImportSettings(format="folder", source=str(source), out=out, **small)
        import_pairs(settings, progress=False)
    encode_folder(folders[0], backbone=tiny_backbone, progress=False)
    work = partial(encode_folder, folders[1], backbone=tiny_backbone, progress=False)
    at_once(work, work)
    assert bytes_of(folders[0]) == bytes_of(folders[1])


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
