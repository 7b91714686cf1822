"""Every recipe is what its commands take, and what is given on the command line wins."""

from __future__ import annotations

import os
import re
import subprocess
from importlib import import_module
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sipo.recipes import FOLDER, names, section

PAPERS = {"sd15-pickapic", "sdxl-pickapic", "flux-geneval", "cogvideox-2b", "cogvideox-5b"}
PAPERS |= {"wan-1.3b", "wan22-5b", "wan22-a14b"}
ONE_CARD = {"flux2-klein-4b"}
OWN = {"qwen-image"}
RECIPES = sorted(PAPERS | ONE_CARD | OWN)
SECTIONS = {
    "generate": "sipo.datagen.cli",
    "train": "sipo.train.cli",
    "geneval": "sipo.geneval.cli",
}


def settings_of(command: str, values: dict[str, Any]) -> Any:
    from sipo.datagen.settings import GenerateSettings
    from sipo.geneval.settings import EvalSettings
    from sipo.train.settings import make_settings

    made = {"generate": lambda v: GenerateSettings(**v), "geneval": lambda v: EvalSettings(**v)}
    return made.get(command, make_settings)(values)


def test_the_papers_setups_and_ours_are_there() -> None:
    assert sorted(names()) == RECIPES


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_and_every_value_has_a_source(name: str) -> None:
    import yaml

    text = (FOLDER / f"{name}.yaml").read_text()
    content = yaml.safe_load(text)
    for command, values in content.items():
        settings_of(command, values)
        assert (section(name, "train") == values) == (command == "train")
    for line in text.splitlines():
        if re.match(r"  \w+:", line) and not re.match(
            r"  (data|backbone|out|weights|suite):", line
        ):
            assert re.search(r"# (slides|ours|the |as |never)", line), line
    assert "Never run by us" in text
    assert "Cost by calculation" in text


def resolved(command: str, *words: str) -> dict[str, Any]:
    """The parameters that a command would be called with."""
    found: click.Command = import_module(SECTIONS[command]).main
    if command == "generate":
        found = found.commands["generate"]  # type: ignore[attr-defined]
    return found.make_context(command, list(words)).params


def test_the_command_line_wins(tmp_path: Path) -> None:
    assert resolved("train", "--recipe", "wan-1.3b")["beta_dpo"] == 20
    assert resolved("train", "--recipe", "wan-1.3b", "--beta_dpo", "7")["beta_dpo"] == "7"
    assert resolved("train", "--recipe", "wan-1.3b")["data"] == ("shards/wan-1.3b",)
    assert resolved("generate", "--recipe", "flux-geneval", "--seed", "3")["guidance"] == 3.5
    assert resolved("geneval", "--recipe", "flux-geneval")["suite"] == "geneval"
    own = tmp_path / "own.yaml"
    own.write_text("train: {rank: 3, quantize: no, train-timesteps: 1:50, output_dir: here}")
    found = resolved("train", "--recipe", str(own))
    assert (found["rank"], found["quantize"], found["train_timesteps"]) == (3, "no", "1:50")
    assert found["out"] == "here"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--recipe", "nonsense"], "'nonsense' is no recipe; choose one of cogvideox-2b"),
        (["--recipe", "{own}"], "own.yaml', line 1 sets 'colour', which is no option"),
        (["--recipe", "{twice}"], "line 2, column 8: 'rank' is set a second time"),
        (["--recipe", "wan-1.3b", "{own}"], "--recipe and a settings file"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path: Path, words: list[str], said: str) -> None:
    from sipo.train.cli import main

    own = tmp_path / "own.yaml"
    own.write_text("train: {colour: red}")
    twice = tmp_path / "twice.yaml"
    twice.write_text("train: {rank: 1,\n       rank: 2}")
    result = CliRunner().invoke(main, [word.format(own=own, twice=twice) for word in words])
    assert result.exit_code == 2
    assert said in " ".join(result.output.split())


def test_a_recipe_without_that_section_says_so() -> None:
    with pytest.raises(ValueError, match="has no section 'geneval'; it has generate, train"):
        section("wan-1.3b", "geneval")


def test_a_recipes_base_is_evaluated_into_a_folder_of_its_own(tmp_path: Path) -> None:
    from sipo.geneval.cli import main

    (tmp_path / "own.yaml").write_text("geneval: {weights: runs/none, out: eval/own}")
    words = ["--recipe", str(tmp_path / "own.yaml"), "--dry-run"]
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 2
    assert "--weights 'runs/none' does not exist" in refused.output
    said = CliRunner().invoke(main, [*words, "--base"]).output
    assert "of mini-sd in float32; 0 of them are there already" in said
    assert "Out      eval/own-base" in said
    said = CliRunner().invoke(main, [*words, "--base", "--out", "x"]).output
    assert "Out      x" in said


@pytest.mark.parametrize("name", RECIPES)
def test_no_recipe_names_what_its_owner_withdrew(name: str) -> None:
    assert "runwayml" not in (FOLDER / f"{name}.yaml").read_text()


@pytest.mark.parametrize(
    ("script", "words", "run"),
    [
        ("array", ["generate", "--out", "a b"], "sipo-data generate --out a b"),
        ("nodes", ["sipo-geneval", "--out", "a b"], "sipo-geneval --out a b"),
    ],
)
def test_slurm_s_templates_hand_on_what_they_are_given(
    script: str, words: list[str], run: str, tmp_path: Path
) -> None:
    srun = tmp_path / "srun"
    srun.write_text("#!/bin/sh\necho $# $@\n")
    srun.chmod(0o755)
    found = subprocess.run(
        ["bash", FOLDER / "slurm" / f"{script}.sbatch", *words],
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == f"{len(words) + (script == 'array')} {run}\n"
