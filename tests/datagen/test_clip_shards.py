"""A video backbone from prompts to shards: clips as MP4, judged by frames, resumed to the byte."""

from __future__ import annotations

import base64
import gc
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import webdataset as wds
from PIL import Image
from tiny_video import tiny_cogvideox
from written_prompts import write_prompts

from sipo.backbones.base import Backbone
from sipo.backbones.registry import load_backbone
from sipo.common.pictures.picture import Clip, read_clip
from sipo.datagen.generation.candidates import read_candidates
from sipo.datagen.generation.rejudging import judge_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.looking.view_page import view
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.shard_index import CANDIDATES
from sipo.datagen.storage.shard_tar import read_fields
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict

FRAMES = 3


class StoppingJudge(FakeJudge):
    """The process ends when it is asked for the second time."""

    asked = 0

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.asked += 1
        if self.asked == 2:
            raise KeyboardInterrupt
        return super().judge(images, prompts)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_backbone(str(tiny_cogvideox(tmp_path_factory.mktemp("video") / "tiny-cog")))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> GenerateSettings:
    folder = tmp_path_factory.mktemp("clips")
    write_prompts([grammar.single_object("cat"), grammar.counting("dog", 2)], folder / "p.jsonl")
    return GenerateSettings(
        prompts=folder / "p.jsonl",
        candidates=3,
        batch_size=2,
        prompts_per_shard=1,
        margin=0,
        judged_frames=FRAMES,
        out=folder / "shards",
    )


@pytest.fixture(scope="module")
def shards(settings: GenerateSettings, backbone: Backbone) -> Path:
    generate(settings, backbone=backbone, judge=FakeJudge(), progress=False)
    return settings.out


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_stopped_run_continues_to_the_same_bytes(
    settings: GenerateSettings, shards: Path, backbone: Backbone, tmp_path: Path
) -> None:
    asked = settings.model_copy(update={"out": tmp_path / "stopped"})
    with pytest.raises(KeyboardInterrupt):
        generate(asked, backbone=backbone, judge=StoppingJudge(), progress=False)
    generate(asked, backbone=backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(asked.out) == bytes_of(shards)


def test_judging_again_sees_the_frames_that_were_judged(
    shards: Path, tmp_path: Path, settings: GenerateSettings
) -> None:
    """A lossy file changes no verdict: what is judged is what it decodes to."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for name, content in bytes_of(shards).items():
        (copy / name).write_bytes(content)
    judge_folder(copy, "fake", judge=FakeJudge(), progress=False, frame_score="worst")
    assert bytes_of(copy)["candidates-000000.tar"] != bytes_of(shards)["candidates-000000.tar"]
    frames = open_folder(copy).config.judge.frames
    assert frames is not None
    assert (frames.count, frames.score) == (FRAMES, "worst")
    judge_folder(copy, "fake", judge=FakeJudge(), progress=False, frame_score="mean")
    assert bytes_of(copy) == bytes_of(shards)


def test_candidates_are_clips_with_their_latents(shards: Path, backbone: Backbone) -> None:
    folder = open_folder(shards)
    assert folder.config.fps == 8
    assert folder.config.sampler is not None
    assert folder.config.sampler.frames == 9
    assert "av" in folder.config.versions
    [first, *_] = read_candidates(folder, 0)
    assert isinstance(first.picture, Clip)
    assert first.latents.shape == (4, 3, 4, 4)
    request = first.request
    [sampled] = backbone.sample([request.prompt.text], [request.seed], backbone.default_sampler)
    for kept, frame in zip(first.picture.frames, sampled.frames, strict=True):
        assert kept.size == frame.size
        difference = np.asarray(kept, dtype=float).mean() - np.asarray(frame, dtype=float).mean()
        assert abs(difference) < 4  # lossy
    assert list(find_damage(shards)) == []


def test_the_verdict_keeps_what_each_frame_showed(shards: Path) -> None:
    folder = open_folder(shards)
    for sample in folder.candidates(0).samples.values():
        member = {"json": sample.members["json"]}
        verdict = json.loads(read_fields(folder.tar(CANDIDATES, 0), member)["json"])["verdict"]
        frames = verdict["evidence"]["frames"]
        assert list(frames) == ["1", "4", "7"]
        assert verdict["score"] == pytest.approx(np.mean([v["score"] for v in frames.values()]))
        assert verdict["judge"]["frames"] == {"count": FRAMES, "score": "mean"}


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves closing to the collector
def test_webdataset_and_training_read_the_pairs(shards: Path) -> None:
    urls = sorted(str(path) for path in shards.glob("pairs-*.tar"))
    pairs = list(wds.WebDataset(urls, shardshuffle=False).decode())
    gc.collect()
    assert pairs
    for sample in pairs:
        assert sample["winner.mp4"][4:8] == b"ftyp"
        assert sample["loser.npy"].shape == (4, 3, 4, 4)
    record = PairDataset(shards)[0]
    assert record.winner.shape == (4, 3, 4, 4)
    assert record.conditioning["encoder_hidden_states"].shape == (226, 16)


def test_the_page_plays_each(shards: Path) -> None:
    page = view(open_folder(shards)).page
    clips = re.findall(r'"src":"data:video/mp4;base64,([^\"]+)', page)
    posters = re.findall(r'"poster":"data:image/jpeg;base64,([^\"]+)', page)
    assert len(clips) == len(posters) > 0
    assert Image.open(io.BytesIO(base64.b64decode(posters[0]))).size == (16, 16)
    assert read_clip(base64.b64decode(clips[0])).frames[0].size == (16, 16)


def test_settings_of_clips_are_refused_for_images(
    tiny_backbone: Backbone, settings: GenerateSettings, tmp_path: Path
) -> None:
    asked = GenerateSettings(prompts=settings.prompts, judge="fake", frames=9, out=tmp_path)
    with pytest.raises(ValueError, match="--frames 9 has no effect"):
        generate(asked, backbone=tiny_backbone, progress=False)
    with pytest.raises(ValueError, match="frame_score"):
        GenerateSettings(frame_score="best")  # type: ignore[arg-type]
