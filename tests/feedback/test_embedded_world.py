"""What is embedded, suites and judges' weights, is for embedded models: others must be told."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import sipo.datagen.generation.build
from sipo.datagen.cli import main
from sipo.datagen.generation.prompts import source_of
from sipo.datagen.settings import GenerateSettings
from sipo.feedback.prompts.demands import require_published
from sipo.train.build import check_judges
from sipo.train.settings import make_settings


def test_a_judge_of_the_embedded_world_is_no_judge_of_another() -> None:
    for judge, remedy in (
        ("yolo-world", "give --judge-weights yolov8x-worldv2.pt, or --judge yolo-world=yolov8x"),
        ("pickscore,yolo-world", "give --judge-weights yolov8x-worldv2.pt"),
        ("mini-evaluator", "give another judge"),
    ):
        with pytest.raises(ValueError, match=f"no weights of its own here but .*{remedy}"):
            require_published(judge, None)
    require_published("yolo-world=mine.pt", None)
    require_published("yolo-world", "mine.pt")
    require_published("mask2former,owlv2", None)


def test_another_model_samples_from_the_official_suite(tiny_folder: Path) -> None:
    assert source_of(GenerateSettings()) == "mini-train"
    assert source_of(GenerateSettings(backbone=str(tiny_folder))) == "geneval-train"
    assert (
        source_of(GenerateSettings(backbone=str(tiny_folder), suite="mini-train")) == "mini-train"
    )


def test_generate_says_it_before_a_model_is_loaded(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for loads in ("load_judge", "load_backbone"):
        monkeypatch.delattr(sipo.datagen.generation.build, loads)
    words = ["generate", "--backbone", str(tiny_folder), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2
    assert "--judge 'yolo-world' has no weights of its own here" in done.output


def test_training_names_its_own_options() -> None:
    watched = {"data": ["x"], "validation_pairs": 8}
    with pytest.raises(ValueError, match="--validation_judge 'mini-evaluator' has no weights"):
        check_judges(make_settings(watched), "owner/model")
    with pytest.raises(ValueError, match=r"give --judge_weights yolov8x-worldv2\.pt, or --judge "):
        check_judges(make_settings({"data": ["x"], "objective": "d3po"}), "owner/model")
    check_judges(make_settings(watched), "mini-sd")
    check_judges(make_settings(watched | {"validation_judge": "mask2former"}), "owner/model")
