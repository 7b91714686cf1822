"""An empty path, as an unset variable gives it, is refused: pathlib takes it for this folder."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo.common.settings import StrictModel


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ("datagen", ["generate", "--weights", ""]),
        ("datagen", ["generate", "--prompts", ""]),
        ("datagen", ["generate", "--judge-weights", ""]),
        ("datagen", ["generate", "--out", ""]),
        ("datagen", ["validate", ""]),
        ("geneval", ["--weights", ""]),
        ("geneval", ["--images", ""]),
        ("geneval", ["compare", "", "b"]),
        ("loop", ["--prompts", ""]),
        ("train", ["--data", ""]),
        ("train", ["--data", "x", "--out", ""]),
        ("train", ["--data", "x", "--init_weights", ""]),
        ("train", ["--data", "x", "--backbone", ""]),
    ],
)
def test_an_empty_path_is_refused(room: str, words: list[str]) -> None:
    result = CliRunner().invoke(import_module(f"sipo.{room}.cli").main, words)
    assert result.exit_code == 2
    assert "is empty; give a value" in result.output


class Asked(StrictModel):
    weights: Path | None = None
    out: Path = Path("out")


@pytest.mark.parametrize("name", ["weights", "out"])
def test_so_it_is_in_a_file_of_settings(name: str) -> None:
    with pytest.raises(ValueError, match="is empty; give a value"):
        Asked(**{name: ""})  # type: ignore[arg-type]
    assert Asked(**{name: "."}) is not None  # type: ignore[arg-type]
