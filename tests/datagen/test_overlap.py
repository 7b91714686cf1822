"""Sampling, judging, encoding and writing at once: the bytes of one after the other, and an end to
all where any of them ends."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from PIL import Image
from stopped_sampling import stop_at

from sipo.backbones.base import Backbone, Generated, Sampler
from sipo.datagen.generation import overlap, run
from sipo.datagen.generation.build import Job
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

PATIENCE_S = 60


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if name.startswith(("beside", "encode"))]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def made(settings: GenerateSettings, out: Path, backbone: Backbone, judge: FakeJudge) -> Path:
    asked = settings.model_copy(update={"out": out})
    generate(asked, backbone=backbone, judge=judge, progress=False)
    return out


def test_the_bytes_are_those_of_one_after_the_other(
    settings: GenerateSettings,
    tiny_backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = made(settings, tmp_path / "at-once", tiny_backbone, FakeJudge())

    def one_by_one(job: Job, asked: Iterator[object], write: overlap.Write) -> None:
        write(map(job.make, asked))  # type: ignore[arg-type]

    monkeypatch.setattr(run, "overlapped", one_by_one)
    in_turn = made(settings, tmp_path / "in-turn", tiny_backbone, FakeJudge())
    assert bytes_of(at_once) == bytes_of(in_turn)


class Meeting(FakeJudge):
    """Ends a batch only when the next one is being sampled."""

    def __init__(self, backbone: Backbone, batches: int) -> None:
        super().__init__()
        self.begun = threading.Semaphore(0)
        self.left = batches
        self.threads: set[threading.Thread] = set()
        sample = backbone.sample

        def sampled(
            texts: Sequence[str], seeds: Sequence[int], sampler: Sampler
        ) -> list[Generated]:
            self.threads.add(threading.current_thread())
            self.begun.release()
            return sample(texts, seeds, sampler)

        self.sample = sampled

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.left -= 1
        assert self.begun.acquire(timeout=PATIENCE_S)
        if self.left:
            assert self.begun.acquire(timeout=PATIENCE_S), "the next batch is not sampled yet"
            self.begun.release()
        return super().judge(images, prompts)


def test_a_batch_is_judged_while_the_next_is_sampled_in_the_main_thread(
    settings: GenerateSettings,
    tiny_backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judge = Meeting(tiny_backbone, batches=8)  # 3 + 3 + 2 batches of at most 3 in three shards
    monkeypatch.setattr(tiny_backbone, "sample", judge.sample)
    made(settings, tmp_path / "shards", tiny_backbone, judge)
    assert judge.left == 0
    assert judge.threads == {threading.main_thread()}


class Broken(FakeJudge):
    """Has a mistake that shows in a later batch, in the second shard."""

    calls = 0

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.calls += 1
        if self.calls == 5:
            raise TypeError("a mistake of the judge")
        return super().judge(images, prompts)


def test_what_the_judge_raises_ends_the_run_and_what_was_done_stays(
    settings: GenerateSettings, shards: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    out = tmp_path / "broken"
    with pytest.raises(TypeError, match="a mistake of the judge"):
        made(settings, out, tiny_backbone, Broken())
    assert (out / "candidates-000000.json").exists()
    assert not [path.name for path in out.iterdir() if path.name.endswith(".tmp")]
    assert not (out / "candidates-000001.tar").exists()
    made(settings, out, tiny_backbone, FakeJudge())
    assert bytes_of(out) == bytes_of(shards)


def test_a_full_disk_is_said_with_the_file(
    settings: GenerateSettings,
    tiny_backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync = os.fsync

    def full(descriptor: int) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"candidates-000000\.tar"):
        made(settings, tmp_path / "full", tiny_backbone, FakeJudge())


@pytest.mark.parametrize("batch", range(1, 9))
def test_ctrl_c_while_any_batch_is_sampled_loses_no_finished_shard(
    batch: int,
    settings: GenerateSettings,
    shards: Path,
    tiny_backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "stopped"
    stop_at(
        tiny_backbone, batch, lambda: made(settings, out, tiny_backbone, FakeJudge()), monkeypatch
    )
    assert not [path.name for path in out.iterdir() if path.name.endswith(".tmp")]
    made(settings, out, tiny_backbone, FakeJudge())
    assert bytes_of(out) == bytes_of(shards)
