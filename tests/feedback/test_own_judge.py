"""Judges from outside the tree: docs/own-parts.md, section "A judge", as it stands there."""

from __future__ import annotations

import functools
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.common import plugins
from sipo.datagen.cli import main
from sipo.feedback.judge import Judge
from sipo.feedback.own_judge import as_judge
from sipo.feedback.prompts import grammar
from sipo.feedback.registry import load_judge, split_names

PAGE = (Path(__file__).parents[2] / "docs" / "own-parts.md").read_text()
SECTION = PAGE.partition("\n## A judge\n")[2].partition("\n## ")[0]
BLOCKS = [
    "\n".join(line[4:] for line in block.splitlines())
    for block in re.findall(r"(?:^(?: {4}.*|)\n)+", SECTION, re.MULTILINE)
    if block.strip()
]
SHOWN, SHARP, ENTRY, PYTHON = BLOCKS
BRIGHT, _, COMMANDS = SHOWN.partition("\n\nsipo-")
CAT = grammar.single_object("cat")
WHITE, DARK = (Image.new("RGB", (8, 8), color) for color in ("white", "#202020"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where somebody stands who wrote `my_judges.py` as the page has it."""
    (tmp_path / "my_judges.py").write_text(f"{BRIGHT}\n\n{SHARP}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    plugins._loaded.cache_clear()
    yield tmp_path
    plugins._loaded.cache_clear()
    sys.modules.pop("my_judges", None)


@pytest.mark.usefixtures("folder")
def test_what_the_page_names_is_a_judge() -> None:
    names = {
        name
        for line in f"sipo-{COMMANDS}".splitlines()
        for word, value in zip(shlex.split(line), shlex.split(line)[1:], strict=False)
        if word == "--judge"
        for name in value.split(",")
    }
    assert names == {"my_judges:bright", "yolo-world"}
    several = load_judge("fake,my_judges:bright", None, ())
    good, bad = several.judge([WHITE, DARK], [CAT] * 2)
    assert several.describe()["members"][1]["id"] == "my_judges:bright"  # type: ignore[index]
    assert good.evidence["my_judges:bright"] == {"score": 1.0, "correct": True}
    assert bad.evidence["my_judges:bright"] == {"score": 32 / 255, "correct": False}
    alone = load_judge("my_judges:bright", None, ())
    assert alone.judge([DARK], [CAT])[0].reason == "my_judges:bright 0.1255 < 0.5"
    low = load_judge("my_judges:bright", None, (), {"my_judges:bright": {"threshold": 0.1}})
    assert low.judge([DARK], [CAT])[0].correct


@pytest.mark.usefixtures("folder")
def test_a_factory_gets_what_the_user_gave() -> None:
    name = "my_judges:make_sharp"
    judge = load_judge(name, None, ())
    assert judge.describe()["least"] == 0.5
    assert judge.judge([WHITE], [CAT])[0].reason == "all of one grey"
    settings = {name: {"least": 0, "device": "cpu"}}
    (verdict,) = (judge := load_judge(f"{name}=x.pt", None, (), settings)).judge([WHITE], [CAT])
    assert (verdict.correct, verdict.score) == (True, 0)
    assert verdict.judge == judge.describe()


@pytest.mark.usefixtures("folder")
def test_the_page_s_python(monkeypatch: pytest.MonkeyPatch) -> None:
    names: dict[str, Any] = {}
    exec(PYTHON, names)
    assert [judge.describe()["id"] for judge in names["judges"]] == [
        *("my_judges:bright", "my_judges:make_sharp"),
        "sharp",
    ]
    assert all(not j.judge([DARK], [CAT])[0].failed for j in names["judges"])
    assert load_judge("my_judges:bright", None, ()).describe() == names["judges"][0].describe()


def test_a_package_s_name_for_it(folder: Path) -> None:
    about = folder / "my_judges-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my_judges\nVersion: 1.2\n")
    entry = ENTRY.replace('[project.entry-points."sipo.judges"]', "[sipo.judges]")
    (about / "entry_points.txt").write_text(entry.replace('"', ""))
    description = load_judge("bright", None, ()).describe()
    assert description["id"] == "bright"
    assert description["part"]["version"] == "1.2"  # type: ignore[index]
    with pytest.raises(ValueError, match=r"'brigth' is unknown; choose one of bright, yolo-world"):
        split_names("brigth")


def test_an_unknown_name_is_told_what_there_is() -> None:
    says = (
        r"--judge 'pikscore' is unknown; choose one of pickscore, yolo-world, owlv2, .*fake, or "
        "module:attribute of your own"
    )
    with pytest.raises(ValueError, match=says):
        split_names("pikscore")
    with pytest.raises(ValueError, match=r"'nowhere:judge' cannot be imported .*ModuleNotFound"):
        split_names("nowhere:judge")


def scores(*given: float) -> Callable[..., Any]:
    return lambda images, prompts: given


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (scores(1.5), "judge 'mine' gave the score 1.5; return numbers between 0 and 1"),
        (scores(float("nan")), "judge 'mine' gave the score nan"),
        (scores(0.5, 0.5), "judge 'mine' gave 2 scores for 1 images"),
        (lambda images, prompts: None, "judge 'mine' gave 'None'; return one number an image"),
        (lambda images, prompts: ["high"], r"judge 'mine' gave .*high.*; return one number"),
    ],
)
def test_scores_that_are_none(function: object, says: str) -> None:
    judge = as_judge(function, "mine")
    with pytest.raises(ValueError, match=says):
        judge.judge([WHITE], [CAT])


@pytest.mark.parametrize(
    ("part", "says"),
    [
        (3, "judge 'mine' cannot be called; give a judge"),
        (lambda image: 1, "judge 'mine' needs image; give a judge"),
        (lambda a, b, c: 1, "judge 'mine' needs a, b, c; give"),
        (lambda: "no judge", "judge 'mine' cannot be called"),
    ],
)
def test_parts_that_are_no_judge(part: object, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        as_judge(part, "mine")


def test_a_part_is_known_by_all_files_that_make_it(folder: Path) -> None:
    """An object is what its class does and what the file that names it made of it."""
    (folder / "named.py").write_text("from my_judges import Sharp\nsharp = Sharp(0.5)\n")
    hashes = []
    for changed in ("named.py", "my_judges.py", None):
        plugins._loaded.cache_clear()
        hashes.append(plugins.find_part("sipo.judges", "named:sharp", "--judge"))
        if changed:
            (folder / changed).write_text((folder / changed).read_text() + "\n")
    assert len({part.sha256 for part in hashes if part}) == 3
    sys.modules.pop("named")
    typed = {"__name__": "__main__"}
    exec("def score(images, prompts): return [1] * len(images)", typed)
    again = dict(typed)
    exec("def score(images, prompts): return [1] * len(images)", again)
    assert as_judge(typed["score"]).describe() == as_judge(again["score"]).describe()
    half = functools.partial(lambda scale, images, prompts: [scale for _ in images], 0.5)
    assert as_judge(half, "half").judge([WHITE], [CAT])[0].score == 0.5


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("name", "weights", "settings", "says"),
    [
        ("bright", "x.pt", {}, "'my_judges:bright' has no setting 'weights'; it takes threshold"),
        ("bright", None, {"threshold": 2}, "setting threshold: 2 must lie in"),
        ("bright", None, {"treshold": 1}, r"did you mean threshold\?"),
        ("Sharp", None, {}, "needs least; give a judge"),
    ],
)
def test_what_a_part_does_not_take(
    name: str, weights: str | None, settings: dict[str, Any], says: str
) -> None:
    name = f"my_judges:{name}"
    with pytest.raises(ValueError, match=says):
        load_judge(name, weights, (), {name: settings})


def test_an_image_that_cannot_be_looked_at_fails_alone() -> None:
    def picky(images: Sequence[Image.Image], prompts: object) -> list[float]:
        if DARK in images:
            raise ValueError("too dark")
        return [1.0 for _ in images]

    good, bad = as_judge(picky).judge([WHITE, DARK], [CAT] * 2)
    assert (good.score, bad.failure) == (1.0, "ValueError: too dark")


def test_a_judge_of_too_few_verdicts() -> None:
    judge = SimpleNamespace(describe=lambda: {"id": "x"}, judge=lambda images, prompts: [])
    assert isinstance(judge, Judge)
    with pytest.raises(ValueError, match="judge 'few' gave 0 verdicts for 1 images"):
        as_judge(judge, "few").judge([WHITE], [CAT])


def test_a_changed_file_is_another_judge(folder: Path, tiny_folder: Path) -> None:
    words = ["generate", "--backbone", str(tiny_folder), "--judge", "my_judges:bright"]
    words += ["--suite", "mini-train", "--num-prompts", "1", "--candidates", "2", "--steps", "1"]
    words += ["--out", str(folder / "shards"), "--prompts-per-shard", "1"]
    made = CliRunner().invoke(main, words)
    assert made.exit_code == 0, made.output
    assert CliRunner().invoke(main, words).exit_code == 0
    with (folder / "my_judges.py").open("a") as file:
        file.write("# another\n")
    plugins._loaded.cache_clear()
    refused = CliRunner().invoke(main, words)
    assert refused.exit_code == 2
    assert "was started with source file of --judge" in refused.output
    again = CliRunner().invoke(main, ["judge", *words[-3:-2], *words[3:5]])
    assert again.exit_code == 0, again.output
    assert CliRunner().invoke(main, words).exit_code == 0
