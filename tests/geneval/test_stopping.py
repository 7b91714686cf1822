"""An evaluation that is stopped goes on with the same command, to what it would have been."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from interrupted import LAST_WORD, stopped
from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.geneval.cli import main

PROMPTS = [grammar.single_object(name) for name in ("cat", "dog", "bird", "car", "bus", "boat")]
IMAGES = 6 * 8


def words(out: Path, tiny: Path, prompts: Path, workers: int) -> list[str]:
    own = ["--backbone", tiny, "--prompts", prompts, "--judge", "fake", "--out", out]
    own += ["--images-per-prompt", 8, "--batch-size", 2, "--workers", workers]
    return [*map(str, own)]


def files(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name != "summary.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    out, prompts = folder / "whole", folder / "prompts.jsonl"
    write_prompts(PROMPTS, prompts)
    result = CliRunner().invoke(main, words(out, tiny_folder, prompts, 1))
    assert result.exit_code == 0, result.output
    return out


@pytest.mark.parametrize(
    ("by", "code", "workers"), [(signal.SIGINT, 130, 2), (signal.SIGTERM, 143, 1)]
)
def test_stopped_and_gone_on_with(
    tmp_path: Path,
    tiny_folder: Path,
    undisturbed: Path,
    by: signal.Signals,
    code: int,
    workers: int,
) -> None:
    out = tmp_path / "eval"
    own = words(out, tiny_folder, undisturbed.parent / "prompts.jsonl", workers)
    first = out / "00000/samples/0000.png"
    assert stopped("sipo.geneval.cli", own, first.exists, by) == (code, LAST_WORD)
    made = len(list(out.glob("*/samples/*.png")))
    assert 0 < made < IMAGES
    assert not list(out.rglob("*.tmp"))
    result = CliRunner().invoke(main, [*own[:-1], "1"])
    assert result.exit_code == 0, result.output
    assert files(out) == files(undisturbed)
    here, there = (json.loads((p / "summary.json").read_text()) for p in (out, undisturbed))
    assert {k: v for k, v in here.items() if k != "command"} == {
        k: v for k, v in there.items() if k != "command"
    }
