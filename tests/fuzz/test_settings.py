"""Settings files: YAML of sipo-train, recipes, JSON of judges."""

from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged, json_files, odd_values, written
from outcome import outcome

from sipo.feedback.registry import read_settings
from sipo.recipes import names, section
from sipo.train.settings import TrainSettings, make_settings, read_yaml

RUN = b"data: [shards]\nlearning_rate: 1e-4\nmixed_precision: no\ntrain_timesteps: 1:50\n"


@st.composite
def yaml_files(draw: st.DrawFn) -> bytes:
    name = draw(st.sampled_from([*TrainSettings.model_fields, "nonsense"]))
    value = written(draw(odd_values()))
    return draw(damaged(RUN + f"{name}: {value}\n".encode(errors="replace")))


@given(data=yaml_files())
def test_the_settings_file_of_a_run(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(data)
    found = outcome(lambda: read_yaml(path), "run.yaml")
    if found is not None:
        outcome(
            lambda: make_settings(found), "setting", *(f"--{n}" for n in TrainSettings.model_fields)
        )


@given(name=st.sampled_from(list(TrainSettings.model_fields)), value=odd_values())
def test_a_setting_of_any_value(name: str, value: Any) -> None:
    outcome(lambda: make_settings({name: value}), "--")


@given(data=damaged(yaml.safe_dump({"train": {"rank": 4}, "generate": {"seed": 1}}).encode()))
def test_recipes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(data)
    assert names()
    outcome(lambda: section(str(path), "train"), "recipe.yaml")


SETTINGS = {"yolo-world": {"thresholds": {"counting": 0.4}}, "ensemble": {"rule": "mean"}}


@given(data=json_files(SETTINGS))
def test_settings_of_judges(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "judge.json"
    path.write_bytes(data)
    outcome(lambda: read_settings(path), "judge.json", "judge settings")
