"""What all commands have in common: spelling, names of others, help, completion, what was meant."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import click
import pytest
from cli_reference import ROOMS, all_commands, help_of, named
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from sipo.common.commands import GROUPS, HINTS
from sipo.common.options import dashed, flags_of

ROOT = Path(__file__).parents[2]
KEPT = [
    (command, flag)
    for line in (Path(__file__).parent / "kept_options.txt").read_text().splitlines()
    for command, flags in [line.split(": ")]
    for flag in flags.split()
]
"""(command, option) of the commands before they were made from settings."""
NAMES = [name for name, _ in all_commands()]


def run(words: str) -> Result:
    name, *rest = words.split()
    return CliRunner().invoke(named(name), rest, prog_name=name)


def refused(words: str) -> str:
    result = run(words)
    assert result.exit_code == 2, result.output
    assert result.output.count("\n") == 1, result.output
    return result.output


@pytest.mark.parametrize(("command", "flag"), KEPT)
def test_every_option_of_before_is_there(command: str, flag: str) -> None:
    (option,) = [p for p in named(command).params if dashed(flag) in map(dashed, flags_of(p))]
    assert isinstance(option, click.Option)


@pytest.mark.parametrize("name", NAMES)
def test_no_two_options_have_one_name(name: str) -> None:
    flags = [dashed(flag) for param in named(name).params for flag in flags_of(param)]
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize(
    ("flag", "setting"),
    [
        ("--lr 1e-3", {"learning_rate": "1e-3"}),
        ("--learning-rate 1e-3", {"learning_rate": "1e-3"}),
        ("--bs 4", {"train_batch_size": "4"}),
        ("--no-full", {"full": False}),
        ("--no_mask", {"mask": False}),
        ("--gradient-checkpointing", {"gradient_checkpointing": True}),
        ("--pretrained-model-name-or-path m", {"backbone": "m"}),
        ("--data a --data b", {"data": ("a", "b")}),
    ],
)
def test_ways_to_write_a_setting(flag: str, setting: dict[str, object]) -> None:
    params = named("sipo-train").make_context("sipo-train", flag.split()).params
    assert {name: value for name, value in params.items() if value not in (None, ())} == {
        "dry_run": False
    } | setting


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("sipo-data genrate", "no such command 'genrate'; did you mean 'generate'?"),
        ("sipo-train plott", "no such command 'plott'; did you mean 'plot'?"),
        (
            "sipo-geneval nonsense",
            "no such command 'nonsense'; choose one of compare, report, metr",
        ),
        ("sipo trian", "no such command 'trian'; did you mean 'train'?"),
        ("sipo-train --learning_rat 3", "no such option --learning_rat; did you mean --learning_r"),
        ("sipo-train --lrr 3", "no such option --lrr; did you mean --learning_rate?"),
        ("sipo-data generate --num_samples=3", "--num_samples; did you mean --candidates or --num"),
        ("sipo-train --zzzz", "no such option --zzzz; see --help"),
        ("sipo-train --rank 3 plot run", "--rank has no effect on 'plot'; leave it out"),
        ("sipo-train --dtype x plot --json", "no such option --dtype; "),
    ],
)
def test_what_was_meant(words: str, said: str) -> None:
    assert said in refused(words)


def test_what_must_be_given() -> None:
    assert "Missing option '--judge'" in run("sipo-data judge shards").output
    assert "Missing argument 'SHARDS'" in run("sipo-data validate").output
    assert "Missing option '--metric'" in run("sipo-geneval metrics eval").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            "sipo-data generate --dtype int3",
            "--dtype 'int3' is unknown; choose one of auto, float32, bf",
        ),
        ("sipo-loop --reference last", "--reference 'last' is unknown; choose one of base, prev"),
        ("sipo-geneval --batch_size 0", "--batch-size 0: Input should be greater than or equal "),
        ("sipo-train --data d --train_batch_size 0", "--train_batch_size 0: Input should be "),
        ("sipo-data import folder x --batch-size 0", "--batch-size 0: Input should be greater"),
        ("sipo-data pair shards --margin 2", "--margin 2: Input should be less than or equal to 1"),
        ("sipo-data export shards --format csv --out x", "--format 'csv' is unknown; choose one"),
    ],
)
def test_a_value_is_judged_by_its_settings(words: str, said: str) -> None:
    assert said.replace("bf", "bfloat16") in refused(words)


@pytest.mark.parametrize("name", NAMES)
def test_help_is_as_wide_as_asked_and_begins_with_an_example(name: str) -> None:
    assert named(name).help
    for width in (80, 100):
        lines = help_of(name, width).splitlines()
        assert max(map(len, lines)) <= width
        assert lines[0].startswith(f"Usage: {name}")
        assert any(line.startswith("Example: ") for line in lines[1:3])


@pytest.mark.parametrize("name", NAMES)
def test_a_help_line_means_something_alone(name: str) -> None:
    """It is a sentence that names what it is about."""
    for param in named(name).params:
        record = param.get_help_record(click.Context(click.Command(None)))
        assert record, param
        sentence = record[1].split("  [")[0]
        assert sentence[0].isupper() or sentence.startswith("log w"), sentence
        assert not re.match(r"(Of|Its|Their|Beside|Instead|That|These|Within)\b", sentence), (
            sentence
        )
        assert len(sentence.split()) >= 3, sentence
        assert sentence.endswith("."), sentence
        assert getattr(param, "group", None) in GROUPS


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_version(name: str) -> None:
    assert run(f"{name} --version").output.startswith("sipo ")
    assert run(f"{name} -h").output == run(f"{name} --help").output


def test_nothing_of_a_setting_is_typed_in_a_command() -> None:
    """Defaults, ranges and choices stand at the setting and nowhere else."""
    typed = {"default", "show_default", "min", "max", "multiple"}
    for room in ROOMS.values():
        for node in ast.walk(ast.parse((ROOT / room / "cli.py").read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                assert not called.endswith(("Range", "Choice")), called
                if called.endswith((".option", ".argument")):
                    assert not typed & {word.arg for word in node.keywords}, ast.unparse(node)


def test_hints_name_options_that_are_there() -> None:
    there = {param.name for name in NAMES for param in named(name).params}
    assert {option for near in HINTS.values() for option in near} <= there


@pytest.mark.parametrize("module", ["sipo.cli", *(f"sipo.{room}.cli" for room in ROOMS.values())])
def test_help_is_quick(module: str) -> None:
    """CPU seconds of a process that prints help; torch alone takes more."""
    program = (
        f"import sys, time; from {module} import main; main(['--help'], standalone_mode=False); "
        "assert not {'torch', 'diffusers'} & sys.modules.keys(); "
        "print(time.process_time(), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
    assert float(done.stderr) < 1


def test_the_entry_point_imports_no_command() -> None:
    program = (
        "import sys; from sipo.cli import main; main(['--help'], standalone_mode=False); "
        "assert not {'sipo.datagen.cli', 'sipo.train', 'sipo.loop'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)


def completed(name: str, words: list[str], incomplete: str) -> list[str]:
    found = ShellComplete(named(name), {}, name, "_X").get_completions(words, incomplete)
    return [f"<{item.type}>" if item.type != "plain" else item.value for item in found]


@pytest.mark.parametrize(
    ("name", "words", "incomplete", "found"),
    [
        ("sipo", [], "tr", ["train"]),
        ("sipo", ["train"], "pl", ["plot", "<file>"]),
        ("sipo", ["data"], "calibrate", ["calibrate-judge"]),
        ("sipo-train", ["--objective"], "diffusion-d", ["diffusion-dpo"]),
        ("sipo-train", ["--mixed_precision"], "b", ["bf16"]),
        ("sipo-train", ["--out"], "ru", ["<file>"]),
        ("sipo-train", ["--learning-rate", "3", "--backbone"], "mini", ["mini-sd", "<file>"]),
        ("sipo-train", ["calibrate", "--denominator"], "be", ["behaviour"]),
        ("sipo-data", ["generate", "--judge"], "yolo-world,pick", ["yolo-world,pickscore"]),
        (
            "sipo-data",
            ["generate", "--recipe"],
            "wan",
            ["wan-1.3b", "wan22-5b", "wan22-a14b", "<file>"],
        ),
        ("sipo-data", ["import"], "hpdv3", ["hpdv3"]),
        ("sipo-geneval", ["--suite"], "mini-", ["mini-train", "mini-validation"]),
        ("sipo-train", [], "--gradient_c", ["--gradient_checkpointing"]),
    ],
)
def test_completion(name: str, words: list[str], incomplete: str, found: list[str]) -> None:
    assert completed(name, words, incomplete) == found


def test_what_a_report_of_a_fault_needs() -> None:
    said = run("sipo env").output
    for name in (
        "sipo",
        "torch",
        "diffusers",
        "transformers",
        "accelerate",
        "peft",
        "python",
        "cpu",
    ):
        assert re.search(rf"^{name} +\S", said, re.MULTILINE), name


def test_what_can_be_asked_is_what_is_there() -> None:
    """The settings name these themselves: the tables of functions would import torch."""
    from sipo.datagen.export import EXPORTS
    from sipo.datagen.folder_settings import ExportSettings
    from sipo.datagen.generation.pairing import POLICIES
    from sipo.datagen.settings import Policy

    assert get_args(Policy) == tuple(POLICIES)
    assert get_args(ExportSettings.model_fields["format"].annotation) == tuple(EXPORTS)
