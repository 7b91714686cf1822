from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

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
    assert "No object at all was found in 100.0% of the images." in said
    assert run("--images", base, "--out", again, "--judge", "fake", *same)[0] == 0
    assert "+0.000" in run("compare", base, again)[1]
    code, said = run("compare", base, again, "--json")
    assert json.loads(said)["overall"]["difference"] == 0


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    code, said = run("--dry-run", "--out", tmp_path / "eval")
    assert code == 0
    assert "672 of mini-sd; 0 of them are there already" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--suite", "maxi"],
            "--suite 'maxi' is unknown; choose one of geneval, geneval-train, mini, mini-train",
        ),
        (["--judge", "nobody"], "--judge 'nobody' is unknown"),
        (["--judge", "nobody", "--judge", "fake"], "--judge 'nobody' is unknown"),
        (["--suite", "mini", "--prompts", "x"], "were both given"),
        (["--prompts", "nowhere.jsonl"], "'nowhere.jsonl' does not exist"),
        (["--images", "nowhere"], "'nowhere' is not a folder"),
        (["--images", "x", "--steps", "3"], "--steps has no effect with --images"),
        (["--images-per-prompt", "0"], "--images-per-prompt: Input should be greater"),
        (["--weights", "nowhere"], "--weights 'nowhere' does not exist"),
        (["--seed", "1", "compare", "a", "b"], "--seed has no effect on 'compare'"),
    ],
)
def test_mistakes_are_one_sentence_and_exit_code_2(words: list[str], sentence: str) -> None:
    code, said = run("--dry-run", *words) if "compare" not in words else run(*words)
    assert code == 2
    assert said.startswith("Error: ")
    assert sentence in said
    assert len(said.splitlines()) == 1
