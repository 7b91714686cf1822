"""`sipo-data plan`: what it adds up to, what it refuses, and that it loads nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo.datagen.cli import main

FLUX = "black-forest-labs/FLUX.1-dev"


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["plan", *map(str, words)])
    return result.exit_code, result.output


def read(*words: object) -> dict[str, object]:
    code, said = run("--json", *words)
    assert code == 0, said
    made = json.loads(said)
    assert isinstance(made, dict)
    return made


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prompts."""
    path = tmp_path_factory.mktemp("hundred") / "prompts.jsonl"
    rows = ({"tag": "text", "include": [], "prompt": f"a cat, {number}"} for number in range(100))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_pictures_of_flux(monkeypatch: pytest.MonkeyPatch, hundred: Path) -> None:
    def no_model(*_: object) -> None:
        raise AssertionError("no model is loaded, and nobody is asked")

    monkeypatch.setattr("sipo.backbones.loading.names.cached_unless_reachable", no_model)
    asked = ["--backbone", FLUX, "--prompts", hundred, "--candidates", 8, "--price", 2]
    one = read(*asked)
    assert (one["candidates"], one["shards"]) == (800, 13)
    generate = one["stages"][0]  # type: ignore[index]
    assert 50 < 50 * generate["device_hours"] < 75  # of forty thousand
    assert one["money"] == pytest.approx(2 * one["wall_hours"])  # type: ignore[operator]
    many = read(*asked, "--devices", 10)
    assert many["device_hours"] == pytest.approx(one["device_hours"])
    hours = many["stages"][0]["wall_hours"]  # type: ignore[index]
    assert hours == pytest.approx(2 * 8 / 100 * generate["device_hours"])  # two shards of eight
    code, said = run(*asked, "--devices", 10)
    assert code == 0
    for part in ("10 x h100", "measured:", "counted:", "assumed:", "13 shards", "in money"):
        assert part in said


def test_disk_is_what_shards_hold(hundred: Path) -> None:
    asked = ["--backbone", FLUX, "--prompts", hundred, "--num-prompts", 8, "--candidates", 2]
    made = read(*asked, "--keep-rate", 1)
    picture, latents = 1.25 * 1024**2, 4 * 16 * 128 * 128
    assert made["candidate_bytes"] == 16 * (picture + latents + 2048)
    assert made["pairs"] == 8  # two candidates are one pair
    assert made["pair_bytes"] == made["candidate_bytes"]
    assert made["embedding_bytes"] == 9 * 2 * (512 * 4096 + 768)  # and the empty prompt's


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "--backbone 'mini-sd' is none of the models that were counted"),
        (["--backbone", "nobody/nothing"], "give --measure, which samples two images"),
        (
            ["--backbone", FLUX, "--card", "abacus"],
            "--card 'abacus' is unknown; choose one of a100",
        ),
        (["--backbone", FLUX, "--card", "a100", "--device-tflops", 3], "give one"),
        (["--backbone", FLUX, "--share", 1.5], "--share 1.5"),
        (["--backbone", FLUX, "--devices", 0], "--devices 0"),
        (["--backbone", FLUX, "--frames", 9], "--frames 9 has no effect"),
        (["--backbone", FLUX, "--dtype", "float32"], "--dtype 'float32': rates are bfloat16's"),
        (["--measure", "--card", "a100"], "--card has no effect with --measure"),
    ],
)
def test_what_is_wrong_is_said(words: list[object], sentence: str) -> None:
    code, said = run(*words)
    assert code == 2
    assert sentence in said
    assert said.startswith("Error: ")
    assert len(said.splitlines()) == 1


def test_any_model_can_be_measured(tiny_folder: Path, prompts_file: Path, tmp_path: Path) -> None:
    asked = ["--backbone", tiny_folder, "--prompts", prompts_file, "--judge", "fake"]
    out = tmp_path / "shards"
    made = read(*asked, "--measure", "--workers", 1, "--device", "cpu", "--out", out)
    assert made["prompts"] == 5
    assert made["sources"][0].startswith("measured: 2 images")  # type: ignore[index]
    assert made["candidate_bytes"] > 0  # type: ignore[operator]
    assert not out.exists()
