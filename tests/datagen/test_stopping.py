"""Ctrl-C and SIGTERM: nothing half is left, no process nor thread, and the same command goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from written_prompts import write_prompts

from sipo.backbones.base import Backbone
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import COLORS

PROGRAM = "from sipo.datagen.cli import main; main()"
OBJECTS = ("cat", "dog", "car", "bus", "boat")
PROMPTS = [grammar.colors(name, color) for name in OBJECTS for color in COLORS][:20]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def settings(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> GenerateSettings:
    prompts = tmp_path_factory.mktemp("prompts") / "prompts.jsonl"
    write_prompts(PROMPTS, prompts)
    return GenerateSettings(
        backbone=str(tiny_folder),
        prompts=prompts,
        judge="fake",
        candidates=4,
        batch_size=2,
        prompts_per_shard=1,
        workers=2,
        out=prompts.with_name("whole"),
    )


@pytest.fixture(scope="module")
def whole(settings: GenerateSettings, tiny_backbone: Backbone) -> dict[str, bytes]:
    generate(settings, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    return bytes_of(settings.out)


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked")
@pytest.mark.parametrize(
    ("sent", "code", "workers"),
    [
        (signal.SIGINT, 130, 1),
        (signal.SIGTERM, 143, 2),
        pytest.param(signal.SIGINT, 130, 2, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, 1, marks=pytest.mark.slow),
    ],
)
def test_generate_ends_with_all_it_began_and_goes_on(
    sent: signal.Signals,
    code: int,
    workers: int,
    settings: GenerateSettings,
    whole: dict[str, bytes],
    tiny_backbone: Backbone,
    tmp_path: Path,
) -> None:
    settings = settings.model_copy(update={"out": tmp_path / "stopped", "workers": workers})
    asked = settings.model_dump(exclude_unset=True)
    options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in asked.items()]
    args = [sys.executable, "-c", PROGRAM, "generate", *(part for pair in options for part in pair)]
    process = subprocess.Popen(args, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while process.poll() is None and not (settings.out / "candidates-000001.json").exists():
        time.sleep(0.001)
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)  # a terminal sends it to all
    else:
        process.send_signal(sent)
    _, said = process.communicate(timeout=60)
    assert process.returncode == code, said
    assert said.splitlines()[-1] == "stopped; the same command again goes on"
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
    left = {path.name for path in settings.out.iterdir()}
    assert not [name for name in left if name.startswith(".")]
    assert "candidates-000019.json" not in left
    generate(settings, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    assert bytes_of(settings.out) == whole
