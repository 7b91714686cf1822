"""An evaluation of a video backbone: clips in the layout, judged by frames."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_video import tiny_cogvideox
from written_prompts import write_prompts

from sipo.backbones.registry import load_backbone
from sipo.common.pictures.picture import read_clip
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.evaluate import evaluate
from sipo.geneval.looking.judged_rows import read_judged, version_of
from sipo.geneval.settings import EvalSettings


def test_clips_are_sampled_judged_and_shown(
    tmp_path: Path, prompts: list[Prompt], make_settings: Callable[..., EvalSettings]
) -> None:
    write_prompts(prompts[:2], tmp_path / "two.jsonl")
    backbone = load_backbone(str(tiny_cogvideox(tmp_path / "tiny-cog")))
    given = {"prompts": tmp_path / "two.jsonl", "judged_frames": 2, "images_per_prompt": 1}
    settings = make_settings(**given)
    summary = evaluate(settings, backbone, FakeJudge())
    assert summary.detector == {"id": "fake", "frames": {"count": 2, "score": "mean"}}
    assert summary.sampler["frames"] == 9
    clips = sorted(settings.out.glob("*/samples/*"))
    assert [str(path.relative_to(settings.out)) for path in clips] == [
        "00000/samples/0000.mp4",
        "00001/samples/0000.mp4",
    ]
    rows = [json.loads(line) for line in (settings.out / "results.jsonl").read_text().splitlines()]
    assert rows[0]["filename"] == "00000/samples/0000.mp4"

    again = make_settings(
        "again", images=settings.out, images_per_prompt=1, frame_score="worst", prompts=None
    )
    second = evaluate(again, judge=FakeJudge())
    assert second.images_sha256 == summary.images_sha256
    assert second.detector["frames"] == {"count": 8, "score": "worst"}

    judged = read_judged(settings.out, "it")
    version = version_of(judged, prompts[0].to_json(), 192, 4)
    assert version is not None
    assert version.samples[0].picture is not None
    kind, content = version.samples[0].picture.uri.split(";base64,")
    assert kind == "data:video/mp4"
    assert len(read_clip(base64.b64decode(content)).frames) == 9

    clips[0].write_bytes(b"no video")
    broken = evaluate(again, judge=FakeJudge())
    assert broken.failures.names == ["00000/samples/0000.mp4"]
    clips[1].unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images are missing .*00001/samples/0000\.mp4"):
        evaluate(again, judge=FakeJudge())
