"""Several processes make one evaluation: the bytes of one alone, no image judged twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner
from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.geneval import judged_blocks
from sipo.geneval.cli import main

PROMPTS = [grammar.single_object(name) for name in ("cat", "dog", "bird", "car", "bus", "boat")]
IMAGES = 6 * 8
ONE_OF_TWO = """
import json, os, sys, time
from pathlib import Path
from sipo.backbones.registry import load_backbone
from sipo.feedback.fake import FakeJudge
from sipo.geneval import judged_blocks
from sipo.geneval.evaluate import evaluate
from sipo.geneval.settings import EvalSettings

class Slow(FakeJudge):
    seen = 0
    def judge(self, images, prompts):
        time.sleep(0.05)
        self.seen += len(images)
        return super().judge(images, prompts)

judged_blocks.BATCHES = 2
settings, here = EvalSettings.model_validate_json(sys.argv[1]), Path(sys.argv[2])
backbone, judge = load_backbone(settings.backbone), Slow()
(here / f"ready-{os.getpid()}").touch()
while len(list(here.glob("ready-*"))) < 2:
    time.sleep(0.01)
evaluate(settings, backbone=backbone, judge=judge)
print(json.dumps(judge.seen))
"""


def words(out: Path, tiny: Path, prompts: Path) -> list[str]:
    own = ["--backbone", tiny, "--prompts", prompts, "--judge", "fake", "--out", out]
    return [*map(str, [*own, "--images-per-prompt", 8, "--batch-size", 2, "--workers", 1])]


def files(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name != "summary.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("alone")
    write_prompts(PROMPTS, folder / "prompts.jsonl")
    own = words(folder / "eval", tiny_folder, folder / "prompts.jsonl")
    result = CliRunner().invoke(main, own)
    assert result.exit_code == 0, result.output
    return folder / "eval"


def start(tiny: Path, prompts: Path, out: Path, rank: int) -> subprocess.Popen[str]:
    out.parent.mkdir(exist_ok=True)
    asked = {"backbone": str(tiny), "prompts": str(prompts), "judge": "fake", "out": str(out)}
    asked |= {"images_per_prompt": 8, "batch_size": 2, "workers": 1}
    given = [sys.executable, "-c", ONE_OF_TWO, json.dumps(asked), str(out.parent)]
    ranks = {"RANK": str(rank), "WORLD_SIZE": "2", "LOCAL_RANK": str(rank)}
    return subprocess.Popen(
        given,
        env=os.environ | ranks,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def test_two_processes_share_an_evaluation(alone: Path, tiny_folder: Path, tmp_path: Path) -> None:
    out, prompts = tmp_path / "both" / "eval", alone.with_name("prompts.jsonl")
    both = [start(tiny_folder, prompts, out, rank) for rank in range(2)]
    seen = [json.loads(process.communicate(timeout=120)[0]) for process in both]
    assert sum(seen) == IMAGES
    assert files(out) == files(alone)


def test_who_is_killed_while_judging_loses_a_block(
    alone: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    out, prompts = tmp_path / "killed" / "eval", alone.with_name("prompts.jsonl")
    out.parent.mkdir()
    (out.parent / "ready-nobody").touch()
    dying, ends = start(tiny_folder, prompts, out, 0), time.monotonic() + 60
    while len(list(out.glob(".verdicts-*.json"))) < 2 and time.monotonic() < ends:
        time.sleep(0.01)
    dying.send_signal(signal.SIGKILL)
    dying.communicate()
    kept = len(list(out.glob(".verdicts-*.json")))
    assert 2 <= kept < 12
    other = start(tiny_folder, prompts, out, 0)
    assert json.loads(other.communicate(timeout=120)[0]) == IMAGES - 4 * kept
    assert files(out) == files(alone)


def test_a_damaged_block_is_judged_again(tmp_path: Path) -> None:
    block = tmp_path / ".verdicts-000000.json"
    blocks = judged_blocks.JudgedBlocks(tmp_path, Nobody(), [tmp_path], [PROMPTS[0]], 1, "sha")
    for text in ("{", '{"of": "of others", "rows": []}'):
        block.write_text(text)
        assert not blocks.has(0)
        assert blocks.all() is None


class Nobody:
    def describe(self) -> dict[str, object]:
        return {"id": "nobody"}

    def judge(self, images: object, prompts: object) -> list[object]:
        raise AssertionError
