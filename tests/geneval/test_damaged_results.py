"""Folders whose files are damaged, cut short, or not of one kind: a sentence that says which."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sipo.backbones.base import Backbone
from sipo.common.files.locks import only_writer
from sipo.feedback.fake import FakeJudge
from sipo.geneval.comparison.agreement import agreement
from sipo.geneval.comparison.metric_scores import compare_metric, score_runs
from sipo.geneval.comparison.paired import compare
from sipo.geneval.evaluate import evaluate, plan
from sipo.geneval.results import read_rows
from sipo.geneval.settings import EvalSettings

MakeSettings = Callable[..., EvalSettings]


@pytest.fixture
def made(make_settings: MakeSettings, tiny_backbone: Backbone) -> Path:
    settings = make_settings(images_per_prompt=1)
    evaluate(settings, tiny_backbone, FakeJudge())
    return settings.out


@pytest.mark.parametrize("text", ["", "{", "[]", "[" * 100_000, "{}", '{"detector": 1}'])
def test_a_summary(made: Path, text: str) -> None:
    (made / "summary.json").write_text(text)
    with pytest.raises(ValueError, match=r"summary\.json.*; remove it and run the same sipo-gen"):
        compare(made, made)


@pytest.mark.parametrize("text", ["{", "[]", "\0"])
def test_a_config(
    made: Path, text: str, make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    (made / "config.json").write_text(text)
    with pytest.raises(ValueError, match=r"config\.json.*; restore it, or give another --out"):
        evaluate(make_settings(images_per_prompt=1), tiny_backbone, FakeJudge())


def test_results(made: Path) -> None:
    path = made / "results.jsonl"
    lines = path.read_text().splitlines()
    row = json.loads(lines[0])
    for wrong, said in (
        ("{", "row: Invalid JSON"),
        ("[]", "row: Input should be an object"),
        (json.dumps(row | {"correct": "perhaps"}), "correct: Input should be a valid boolean"),
        (json.dumps(row | {"tag": "taste"}), "tag: Input should be"),
        (lines[1], r"a second row of '00001/samples/0000\.png'; take one of them out"),
    ):
        path.write_text("\n".join([lines[1], wrong, *lines[3:]]))
        with pytest.raises(ValueError, match=rf"results\.jsonl, line 2: {said}"):
            compare(made, made)
    path.write_text("\n".join(lines[:-1]))
    with pytest.raises(ValueError, match=r"has 5 rows where summary\.json counts 6; remove"):
        compare(made, made)
    path.write_text("\n")
    with pytest.raises(ValueError, match=r"results\.jsonl' has no rows"):
        agreement(made, made)


def test_a_line_separator_in_a_prompt_ends_no_row(made: Path) -> None:
    path = made / "results.jsonl"
    text = path.read_text().replace("a photo of a cat", "a photo\u2028of a cat")
    path.write_text(text, encoding="utf-8")
    assert read_rows(path)[0].prompt == "a photo\u2028of a cat"


def test_scores(made: Path) -> None:
    score_runs([made], "fake", judge=FakeJudge())
    path = made / "metrics/fake.json"
    whole = json.loads(path.read_text())
    for wrong in ("{", "{}", json.dumps(whole | {"scores": [1]}), '{"judge": {}, "scores": {}}'):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=r"metrics/fake\.json'.*; remove it and run sipo-gen"):
            compare_metric(made, made, "fake")
    path.write_text(json.dumps(whole | {"scores": {"a": float("nan")}}))
    with pytest.raises(ValueError, match="remove it"):
        score_runs([made], "fake", judge=FakeJudge())


def test_a_tag_that_no_prompt_of_is_in_both(made: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    summary = json.loads((made / "summary.json").read_text())
    (other / "summary.json").write_text(json.dumps(summary | {"tags": {}}))
    rows = [line for line in (made / "results.jsonl").read_text().splitlines() if "bus" not in line]
    (other / "results.jsonl").write_text("\n".join(r for r in rows if "boat" not in r))
    with pytest.raises(ValueError, match="have no prompt of tag 'colors' that both could judge"):
        compare(made, other)


def test_another_judge_is_refused_before_anything_is_loaded(
    made: Path, make_settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`plan` loads nothing, and is what --dry-run runs."""
    cases = {
        "judge": ("mask2former", "--judge fake, this command says mask2former;"),
        "seed": (3, "--seed .*0, this command says 3;"),
        "steps": (7, "--steps .*2, this command says 7;"),
        "height": (32, "--height .*, this command says 32;"),
        "backbone": ("mini-sd", "--backbone .*tiny-sd, this command says mini-sd;"),
        "images_per_prompt": (2, "--images-per-prompt 1, this command says 2;"),
    }
    for name, (value, said) in cases.items():
        with pytest.raises(ValueError, match=said):
            plan(make_settings(**{"images_per_prompt": 1, name: value}))
    before = json.loads((made / "config.json").read_text())
    del before["judge"]  # a folder of an earlier version
    (made / "config.json").write_text(json.dumps(before))
    plan(make_settings(images_per_prompt=1))


def test_the_dtype_is_recorded_where_it_is_not_float32(
    made: Path, make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    assert "dtype" not in json.loads((made / "config.json").read_text())
    half = make_settings("half", images_per_prompt=1, dtype="bfloat16")
    evaluate(half, None, FakeJudge())
    for name in ("config.json", "summary.json"):
        assert json.loads((half.out / name).read_text())["dtype"] == "bfloat16"
    evaluate(half, None, FakeJudge())
    with pytest.raises(ValueError, match="--dtype bfloat16, this command says float32; use"):
        plan(make_settings("half", images_per_prompt=1))
    with pytest.raises(
        ValueError, match=r"--backbone, --weights or --dtype \(backbone.weights_sha"
    ):
        evaluate(make_settings(images_per_prompt=1, dtype="bfloat16"), None, FakeJudge())


def test_two_at_once_in_one_folder(
    made: Path, make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    with (
        only_writer(made, "sipo-geneval"),
        pytest.raises(ValueError, match=r"another sipo-geneval is writing to .*; wait for it"),
    ):
        evaluate(make_settings(images_per_prompt=1), tiny_backbone, FakeJudge())
    evaluate(make_settings(images_per_prompt=1), tiny_backbone, FakeJudge())
