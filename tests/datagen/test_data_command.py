"""`sipo-data` as a user meets it: what it prints, its exit codes, its sentences."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from data_commands import refused, run

from sipo.datagen.storage.pair_dataset import PairDataset

GOOD = '{"tag": "single_object", "include": [{"class": "cat", "count": 1}], "prompt": "a cat"}\n'


def small(folder: Path, prompts: Path, out: Path) -> list[object]:
    return [
        *("generate", "--pretrained_model_name_or_path", folder, "--prompts", prompts),
        *("--judge", "fake", "--candidates", 4, "--output_dir", out, "--num-prompts", 2),
    ]


def test_from_prompts_to_pairs_to_a_contact_sheet(
    tiny_folder: Path, prompts_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    made = run(*small(tiny_folder, prompts_file, out))
    assert made.exit_code == 0, made.output
    assert "single_object" in made.output
    assert json.loads((out / "summary.json").read_bytes())["pairs"] == len(PairDataset(out))
    assert run("validate", out).exit_code == 0
    looked = run("inspect", out)
    assert looked.exit_code == 0, looked.output
    assert "why images fail kind" in looked.output
    assert "the hash says so" in looked.output
    (row, *_) = json.loads((out / "summary.json").read_bytes())["complaints"]
    assert (row["kind"], row["example"]) == ("other", "the hash says so")
    page = (out / "contact.html").read_text()
    assert page.count("<img") == 2 * len(PairDataset(out))
    assert "the hash says so" in page
    assert run("judge", out, "--judge", "fake").exit_code == 0
    assert run("pair", out, "--policy", "best-vs-worst", "--margin", 0).exit_code == 0
    assert len(PairDataset(out)) == 2
    (out / "pairs-000000.tar").write_bytes(b"short")
    damaged = run("validate", out)
    assert damaged.exit_code == 2
    assert "pairs-000000.tar is truncated" in damaged.output


def test_a_dry_run_writes_nothing(tiny_folder: Path, prompts_file: Path, tmp_path: Path) -> None:
    result = run(*small(tiny_folder, prompts_file, tmp_path / "shards"), "--dry-run")
    assert result.exit_code == 0, result.output
    assert "2 prompts x 4 = 8 candidates in 1 shards" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ("", "has no prompts"),
        (GOOD + "{not json}\n", "line 2: not JSON"),
        (GOOD + '{"tag": "counting", "prompt": "x"}\n', "line 2: include"),
        (GOOD.replace('"count": 1', '"count": 1, "color": "mauve"'), "line 1: include.0.color"),
    ],
)
def test_bad_prompt_files(rows: str, sentence: str, tiny_folder: Path, tmp_path: Path) -> None:
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(rows)
    assert sentence in refused(run(*small(tiny_folder, prompts, tmp_path / "shards")))


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--judge", "nobody"], "--judge 'nobody' is unknown"),
        (["--backbone", "nothing"], "--backbone 'nothing'"),
        (["--policy", "any"], "--policy 'any' is unknown"),
        (["--suite", "mini-train"], "give one of them"),
        (["--skip-prompts", 99], "--skip-prompts 99"),
        (["--prompts", "nowhere.jsonl"], "does not exist"),
        (["--dtype", "int3"], "--dtype 'int3'"),
        (["--device", "abacus"], "--device 'abacus'"),
        (["--weights", "nowhere"], "--weights 'nowhere'"),
    ],
)
def test_bad_arguments(
    more: list[object], sentence: str, tiny_folder: Path, prompts_file: Path, tmp_path: Path
) -> None:
    result = run(*small(tiny_folder, prompts_file, tmp_path / "shards"), *more)
    assert sentence in refused(result)


@pytest.mark.parametrize("command", ["generate", "pair"])
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-0.1", "1.1", "much"])
def test_margins_that_are_none(command: str, value: str, shards: Path) -> None:
    place = ["--out", shards] if command == "generate" else [shards]
    said = refused(run(command, *place, "--margin", value))
    assert said.startswith("Error: --margin ")
    assert value in said


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--guidance", "nan"),
        ("--guidance", "-1"),
        ("--seed", "-1"),
        ("--seed", str(2**63)),
        ("--candidates", "1"),
        ("--steps", "0"),
        ("--num-prompts", "0"),
    ],
)
def test_numbers_that_are_none(option: str, value: str) -> None:
    said = refused(run("generate", option, value))
    assert said.startswith(f"Error: {option} ")
    assert value in said


@pytest.mark.parametrize(
    "command", [["judge", "--judge", "fake"], ["pair"], ["inspect"], ["validate"]]
)
def test_folders_that_are_none(command: list[str], tmp_path: Path) -> None:
    assert "does not exist" in refused(run(*command, tmp_path / "nowhere"))
    assert "holds no shards" in refused(run(*command, tmp_path))


def test_a_file_where_the_folder_should_be(
    tiny_folder: Path, prompts_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "shards").write_text("")
    refused(run(*small(tiny_folder, prompts_file, tmp_path / "shards")))


def test_help_loads_no_model_library() -> None:
    program = (
        "import sys; from sipo.datagen.cli import main; main(['generate', '--help'], "
        "standalone_mode=False); assert not {'torch', 'diffusers'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
