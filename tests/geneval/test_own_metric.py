"""A metric from outside the tree: the page's example is run, and what it may get wrong is said."""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.common.pictures.picture import Clip
from sipo.common.plugins import Part
from sipo.feedback.frames import FrameJudge
from sipo.feedback.prompts.prompt import Prompt, plain_text
from sipo.geneval.cli import main
from sipo.geneval.comparison.metric_scores import compare_metric, raw_score, score_runs
from sipo.geneval.comparison.own_metric import OwnMetric
from sipo.geneval.layout import image_name, save_image, write_prompt_folders

PAGE = Path(__file__).parents[2] / "docs" / "own-parts.md"
NAME = "metrics_of_mine:brightness"


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The page's file in the folder one stands in, and two runs of two prompts, all of one grey."""
    section = PAGE.read_text().split("## A metric")[1].split("\n## ")[0]
    [example] = re.findall(r"\n((?:    def .*\n)(?:(?:    .*)?\n)*)", section)
    (tmp_path / "metrics_of_mine.py").write_text(textwrap.dedent(example))
    monkeypatch.chdir(tmp_path)
    for run, greys in {"a": (10, 20), "b": (30, 10)}.items():
        write_prompt_folders(tmp_path / run, [plain_text(f"prompt {n}") for n in range(2)])
        for number, grey in enumerate(greys):
            image = Image.new("RGB", (4, 4), (grey, grey, grey))
            save_image(image, tmp_path / run / image_name(number, 0))
    path = list(sys.path)
    yield tmp_path
    sys.path[:] = path
    sys.modules.pop("metrics_of_mine", None)


def test_the_example_of_the_page(runs: Path) -> None:
    words = ["a", "b", "--metric", NAME]
    said = CliRunner().invoke(main, ["metrics", *words, "--json"])
    assert said.exit_code == 0, said.output
    table = json.loads(said.stdout)
    assert {name: run["mean"]["value"] for name, run in table["runs"].items()} == {"a": 15, "b": 20}
    assert table["wins"] == {"a": {"b": 0.5}, "b": {"a": 0.5}}
    kept = json.loads((runs / "a/metrics/metrics_of_mine.brightness.json").read_text())
    assert kept["judge"] == table["judge"]
    assert (kept["judge"]["name"], kept["judge"]["version"]) == (NAME, None)
    assert len(kept["judge"]["source_sha256"]) == 64
    both = CliRunner().invoke(main, ["compare", *words])
    assert "+5.0000" in both.output, both.output


def test_scores_of_two_sources_are_not_compared(runs: Path) -> None:
    score_runs([runs / "a", runs / "b"], NAME)
    kept = runs / "a/metrics/metrics_of_mine.brightness.json"
    row = json.loads(kept.read_text())
    row["judge"]["source_sha256"] = "0" * 64
    kept.write_text(json.dumps(row))
    with pytest.raises(ValueError, match="were scored by different weights or settings"):
        compare_metric(runs / "a", runs / "b", NAME)


@pytest.mark.parametrize(
    ("metric", "sentence"),
    [
        (lambda images, prompts: [1.0], r"returned 1 scores for 2 images; return one each"),
        (lambda images, prompts: [1.0, float("nan")], r"returned nan for 'q'; return finite"),
        (lambda images, prompts: [1.0, -np.inf], r"returned -inf for 'q'; return finite"),
        (lambda images, prompts: None, r"returned 'None'; return a list of numbers"),
        (lambda images, prompts: ["good", "bad"], r"returned .*; return a list of numbers"),
    ],
)
def test_what_is_no_score_each_is_one_sentence(
    metric: Callable[..., object], sentence: str
) -> None:
    images = [Image.new("RGB", (2, 2))] * 2
    with pytest.raises(ValueError, match=rf"^--metric 'm:f' {sentence}"):
        own(metric).judge(images, [plain_text("p"), plain_text("q")])


def own(function: object) -> OwnMetric:
    return OwnMetric(Part(function, "m:f", None, "0"))


def test_any_real_number_and_any_sequence_will_do() -> None:
    """Arrays too; the prompts are a judge's."""
    seen: list[list[str]] = []

    def metric(images: list[Image.Image], prompts: list[Prompt]) -> np.ndarray:
        seen.append([prompt.text for prompt in prompts])
        return np.array([-1e9, 7.25], dtype=np.float32)

    verdicts = own(metric).judge([Image.new("RGB", (2, 2))] * 2, [plain_text("p"), plain_text("q")])
    assert [raw_score(verdict) for verdict in verdicts] == [-1e9, 7.25]
    assert seen == [["p", "q"]]


def test_a_clip_is_the_mean_of_its_frames() -> None:
    frames = [Image.new("RGB", (2, 2), (level, 0, 0)) for level in range(8)]
    reds = own(lambda images, prompts: [image.getpixel((0, 0))[0] for image in images])
    [verdict] = FrameJudge(reds).judge([Clip(b"", tuple(frames), 8.0)], [plain_text("p")])
    assert raw_score(verdict) == 3.5


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("metrics_of_mine:darkness", "--metric 'metrics_of_mine:darkness' cannot be imported"),
        ("metrics_of_mine:__doc__", "'metrics_of_mine:__doc__' cannot be called; give a judge"),
        ("brightness", "--metric 'brightness' is unknown; choose one of .*module:attribute"),
        (f"{NAME}=x", "is a function, which takes no weights"),
    ],
)
def test_what_is_no_metric_is_named(runs: Path, name: str, sentence: str) -> None:
    said = CliRunner().invoke(main, ["metrics", "a", "--metric", name])
    assert said.exit_code == 2
    assert re.search(sentence, " ".join(said.output.split())), said.output
