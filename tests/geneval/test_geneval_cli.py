from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from sipo.geneval.cli import main


def run(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, [str(word) for word in words])
    return result.exit_code, result.output


def test_evaluate_compare_and_evaluate_what_was_made(
    tmp_path: Path, tiny_folder: Path, prompt_file: Path
) -> None:
    base, again, same = tmp_path / "base", tmp_path / "again", ["--images-per-prompt", 1]
    code, said = run(
        *("--pretrained_model_name_or_path", tiny_folder, "--output_dir", base),
        *("--prompts", prompt_file, "--judge", "fake", *same),
    )
    assert code == 0
    assert "overall" in said
    assert "the hash says so" in said  # in the table of why images fail
    assert "No object at all was found in 100.0% of the images." in said
    code, said = run("--images", base, "--out", again, "--judge", "fake", *same)
    assert code == 0
    assert f"Next: sipo-geneval agree {base} {again}\n" in said
    words = ("--images", base, "--out", again, "--judge", "fake", *same, "--json")
    result = json.loads(CliRunner().invoke(main, [str(word) for word in words]).stdout)
    assert result == json.loads((again / "summary.json").read_bytes()) | {"out": str(again)}
    assert "+0.000" in run("compare", base, again)[1]
    code, said = run("compare", base, again, "--json")
    assert json.loads(said)["overall"]["difference"] == 0


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    code, said = run("--dry-run", "--out", tmp_path / "eval")
    assert code == 0
    assert "672 of mini-sd in float32; 0 of them are there already" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--suite", "maxi"],
            "--suite 'maxi' is unknown; choose one of geneval, geneval-train, geneval-",
        ),
        (["--judge", "nobody"], "--judge 'nobody' is unknown"),
        (["--judge", "nobody", "--judge", "fake"], "--judge 'nobody' is unknown"),
        (["--suite", "mini", "--prompts", "x"], "were both given"),
        (["--prompts", "nowhere.jsonl"], "'nowhere.jsonl' does not exist"),
        (["--images", "nowhere"], "'nowhere' is not a folder"),
        (["--images", "x", "--steps", "3"], "--steps has no effect with --images"),
        (["--images-per-prompt", "0"], "--images-per-prompt 0: Input should be greater"),
        (["--weights", "nowhere"], "--weights 'nowhere' does not exist"),
        (["--seed", "1", "compare", "a", "b"], "--seed has no effect on 'compare'"),
        (["--weights", ""], "--weights '' is empty; give a value, or leave it out"),
        (["--prompts", ""], "--prompts '' is empty"),
        (["--images", " "], "--images ' ' is empty"),
        (["--out", ""], "--out '' is empty"),
        (["--suite", ""], "--suite '' is empty"),
        (["--judge", ""], "--judge '' is empty"),
        (["--backbone", ""], "--backbone '' is empty"),
        (["--backbone", "FLUX.1-dev"], "--backbone 'FLUX.1-dev' is neither an embedded model"),
        (["--batch-size", "0"], "--batch-size 0: Input should be greater"),
        (["--height", "0"], "--height 0: Input should be greater"),
        (["--images", "x", "--width", "64"], "--width has no effect with --images"),
        (
            ["--backbone", "owner/model", "--judge", "yolo-world"],
            "give --judge-weights yolov8x-worldv2.pt, or --judge yolo-world=yolov8x-worldv2.pt",
        ),
        (["--base", "compare", "a", "b"], "--base has no effect on 'compare'"),
        (["--base", "--weights", "x"], "--base and --weights 'x' were both given"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(words: list[str], sentence: str) -> None:
    code, said = run("--dry-run", *words) if "compare" not in words else run(*words)
    assert code == 2
    assert said.startswith("Error: ")
    assert sentence in said
    assert len(said.splitlines()) == 1


def test_weights_that_train_left_and_others(tmp_path: Path) -> None:
    """An empty folder, shards, and a folder above a run are refused in the dry run."""
    empty, shards, run_folder = (tmp_path / name for name in ("empty", "shards", "run"))
    for folder in (empty, shards, run_folder):
        folder.mkdir()
    (shards / "config.json").write_text('{"format": "sipo shards 1"}')
    (shards / "pairs-000000.safetensors").touch()
    tensors = {"unet.mid_block.to_q.lora_A.weight": torch.ones(1)}
    save_file(tensors, run_folder / "pytorch_lora_weights.safetensors")
    assert run("--dry-run", "--weights", run_folder)[0] == 0
    for folder, said in (
        (empty, "holds neither pytorch_lora_weights.safetensors nor"),
        (shards, "is a folder of sipo-data; give a folder that sipo-train wrote"),
        (tmp_path, "holds neither pytorch_lora_weights.safetensors nor"),
    ):
        code, output = run("--dry-run", "--weights", folder)
        assert code == 2
        assert f"--weights '{folder}' {said}" in output


def test_the_defaults_are_those_of_the_models_world(tiny_folder: Path) -> None:
    from sipo.geneval.settings import EvalSettings

    def defaults(**given: object) -> tuple[str | None, str]:
        settings = EvalSettings.model_validate(given)
        return settings.suite, settings.judge

    assert defaults() == (None, "mini-evaluator")  # the suite is mini
    assert defaults(backbone="weights/mini-sd") == (None, "mini-evaluator")
    assert defaults(backbone="owner/model") == ("geneval", "mask2former")
    assert defaults(backbone="owner/model", suite="mini") == ("mini", "mini-evaluator")
    assert defaults(backbone="owner/model", prompts="x") == (None, "mask2former")
    assert defaults(backbone="owner/model", judge="pickscore") == ("geneval", "pickscore")
    code, said = run("--dry-run", "--backbone", tiny_folder)
    assert code == 0
    assert "Prompts  553" in said
    assert "Judge    mask2former" in said


def test_images_of_another_size(tmp_path: Path, tiny_folder: Path, prompt_file: Path) -> None:
    from PIL import Image

    code, said = run(
        *("--backbone", tiny_folder, "--out", tmp_path / "e", "--prompts", prompt_file),
        *("--judge", "fake", "--images-per-prompt", 1, "--height", 24, "--width", 32),
    )
    assert code == 0, said
    with Image.open(tmp_path / "e/00000/samples/0000.png") as image:
        assert image.size == (32, 24)
    summary = json.loads((tmp_path / "e/summary.json").read_text())
    assert (summary["sampler"]["height"], summary["sampler"]["width"]) == (24, 32)
    assert "--height 24 --width 32" in summary["command"]
    code, said = run(
        *("--backbone", tiny_folder, "--out", tmp_path / "f", "--prompts", prompt_file),
        *("--judge", "fake", "--frames", 9),
    )
    assert code == 2
    assert "--frames 9 has no effect" in said
