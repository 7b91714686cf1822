"""What another command would find different in a folder is said before a model is loaded."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed

from sipo.backbones.base import Backbone
from sipo.datagen import cli, encode
from sipo.datagen.cli import main
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation import build, rejudging
from sipo.datagen.generation.rejudging import pair_folder
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.settings import GenerateSettings


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*args: Any, **given: Any) -> None:
        pytest.fail("a model was loaded")

    for module in (build, rejudging):
        monkeypatch.setattr(module, "load_judge", loaded)
    for module in (build, encode):
        monkeypatch.setattr(module, "load_backbone", loaded)


@pytest.fixture
def anything_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges that could never be had are refused before a folder is looked at."""
    monkeypatch.setattr(cli, "refuse_impossible", lambda settings: None)


def command(settings: GenerateSettings, out: Path, **changed: Any) -> list[str]:
    asked = settings.model_dump(exclude_unset=True) | {"out": out} | changed
    options = [(f"--{name.replace('_', '-')}", str(value)) for name, value in asked.items()]
    return ["generate", *(part for option in options for part in option)]


def refused(args: list[str]) -> str:
    result = CliRunner().invoke(main, args)
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1
    return result.output


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"judge": "yolo-world"}, "--judge fake, this command says yolo-world"),
        ({"judge": "fake,mini-evaluator"}, "--judge fake, this command says fake,mini-evaluator"),
        ({"backbone": "mini-sd"}, "--backbone tiny-sd, this command says mini-sd"),
        ({"policy": "best-vs-worst"}, "--policy all-over-margin, this command says best-vs-worst"),
        ({"margin": 0.25}, "--margin 0.2, this command says 0.25"),
        ({"max_pairs_per_prompt": 2}, "--max-pairs-per-prompt 3, this command says 2"),
        ({"candidates": 5}, "--candidates 4, this command says 5"),
        ({"seed": 3}, "--seed 0, this command says 3"),
        ({"steps": 3}, "--steps 2, this command says 3"),
        ({"guidance": 1.0}, "--guidance 2.0, this command says 1.0"),
        ({"dtype": "bfloat16"}, "--dtype float32, this command says bfloat16"),
        ({"num_prompts": 2}, "--prompts or --num-prompts 5, this command says 2"),
    ],
)
def test_generate(
    changed: dict[str, Any],
    sentence: str,
    settings: GenerateSettings,
    shards: Path,
    anything_goes: None,
) -> None:
    assert sentence in refused(command(settings, shards, **changed))


def test_generate_with_weights_of_another_file(
    settings: GenerateSettings, shards: Path, anything_goes: None
) -> None:
    config = json.loads((shards / "config.json").read_bytes())
    config["judge"] |= {"id": "hpsv2", "weights": "hps.pt", "weights_sha256": "0" * 64}
    (shards / "config.json").write_text(json.dumps(config))
    weights = shards.parent / "hps.pt"
    weights.write_bytes(b"other")
    said = refused(command(settings, shards, judge="hpsv2", judge_weights=weights))
    assert f"--judge-weights (judge.weights_sha256) {'0' * 64}" in said


def test_generate_on_a_card_what_a_cpu_began(
    settings: GenerateSettings, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--dtype auto is what it comes to, on both sides."""
    monkeypatch.setattr(build, "dtype_on", lambda device, asked: "bfloat16")
    says = "was started with --dtype float32, this command says bfloat16; use the same settings"
    assert says in refused(command(settings, shards))


def test_generate_into_an_import(settings: GenerateSettings, imported: Path) -> None:
    assert "was made by sipo-data import" in refused(command(settings, imported))


def test_judge_into_a_folder_of_another_judge(shards: Path, tmp_path: Path) -> None:
    pair_folder(shards, margin=0.5, out=tmp_path / "new")
    args = ["judge", str(shards), "--judge", "yolo-world", "--out", str(tmp_path / "new")]
    assert "--judge fake, this command says yolo-world" in refused(args)


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    source, out = listed(tmp_path / "source", 1), tmp_path / "imported"
    asked = ImportSettings(format="folder", source=str(source), out=out, resolution=PX)
    import_pairs(asked, progress=False)
    return out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        ([], "--backbone tiny-sd, this command says mini-sd"),
        (["--backbone", "{tiny}", "--dtype", "float16"], "--dtype float32, this command says"),
    ],
)
def test_encode(
    more: list[str], sentence: str, imported: Path, tiny_backbone: Backbone, tiny_folder: Path
) -> None:
    encode_folder(imported, backbone=tiny_backbone, device="cpu", progress=False)
    given = [part.format(tiny=tiny_folder) for part in more]
    assert sentence in refused(["encode", str(imported), "--device", "cpu", *given])
