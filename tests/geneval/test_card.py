"""The report card: what folders hold, one table a model, worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from scripted_server import Call, Said, scripted
from suite_samples import write_table

from sipo.geneval.cli import main
from sipo.geneval.evaluation_folder import write_json
from sipo.pages.ratings import append_answer

TEXTS = ("a cat", "a dog")


def said(*words: str) -> str:
    result = CliRunner().invoke(main, ["card", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """Two evaluations of images made elsewhere, with scores of a metric, and a study of both."""
    monkeypatch.chdir(tmp_path)
    scores = {"a": (0.1, 0.2), "b": (0.3, 0.1)}
    for name, found in scores.items():
        rows = []
        for number, text in enumerate(TEXTS):
            Image.new("RGB", (8, 8), (40 * number, 90, 30)).save(f"{name}{number}.png")
            rows.append([f"{name}{number}.png", text])
        listed = write_table(Path(f"{name}.csv"), ["image", "prompt"], rows)
        words = ["--images", str(listed), "--judge", "fake", "--out", name]
        assert CliRunner().invoke(main, words, catch_exceptions=False).exit_code == 0
        Path(name, "metrics").mkdir()
        kept = {f"{n:05d}/samples/0000.png": score for n, score in enumerate(found)}
        described = {"id": "pickscore", "weights": "v1"}
        file = {"judge": described, "images_sha256": "x", "scores": kept, "failures": {}}
        write_json(Path(name, "metrics", "pickscore.json"), file)
    Path("rank").mkdir()
    write_json(Path("rank/config.json"), {"runs": {"a": "x", "b": "y"}})
    for number, order in enumerate([["b", "a"], ["b", "a"]]):
        row = {"item": f"{number:05d}/0000", "prompt": TEXTS[number], "order": order}
        append_answer(Path("rank/answers/ann.jsonl"), row | {"rater": "ann"})
    return "a", "b"


def test_one_table_a_model(runs: tuple[str, str]) -> None:
    card = json.loads(said(*runs, "--ranks", "rank", "--json"))
    first, second = card["models"]
    assert first["model"] == "images of a.csv"
    assert first["alignment"][0]["of"] == "2 prompts, 2 images"
    quality = {row["name"]: row["value"] for row in second["quality"]}
    assert quality == {"sharpness": 0.0, "pickscore": pytest.approx(0.2)}  # (.3 + .1) / 2
    people = {row["name"]: row["value"] for row in second["people"]}
    assert people == {"first rank, share": 1.0, "mean rank, 1 the best": 1.0}
    # people prefer b twice; the metric for the cat (.3 > .1), and not for the dog (.1 < .2)
    [agreed] = card["agreement"]
    assert (agreed["name"], agreed["value"], agreed["interval"]) == ("pickscore", 0.5, [0, 1])
    shown = said(*runs, "--ranks", "rank")
    assert "| pickscore | 0.200 | [0.100, 0.300] | pickscore v1 | 2 images |" in shown
    assert "### Preferences of people that metrics share" in shown


def test_a_scorer_of_several_dimensions_has_a_row_of_each(runs: tuple[str, str]) -> None:
    """As sipo-geneval metrics keeps what a server has written; one image has no score, and no 0."""
    replies = {"a cat": (4, 3, 2), "a dog": (2, 3, None)}

    def script(call: Call) -> Said:
        text = call.body["messages"][0]["content"][1]["text"]
        found = replies[text.partition('the caption "')[2].partition('"')[0]]
        named = zip(("Alignment", "Coherence", "Style"), found, strict=True)
        reply = "\n".join(f"{name} Score (1-5): {number}" for name, number in named)
        return Said({"choices": [{"message": {"content": reply}, "finish_reason": "stop"}]})

    with scripted(script, models={"data": [{"id": "UnifiedReward"}]}) as server:
        words = ["metrics", "a", "--metric", f"unified-reward={server.url}/v1"]
        result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    shown = said("a")
    by = "unified-reward UnifiedReward"
    assert f"| unified-reward | 3.000 |  | {by} | 1 images |" in shown
    assert f"| unified-reward: Alignment Score | 4.000 |  | {by} | 1 images |" in shown
    assert f"| unified-reward: Style Score | 2.000 |  | {by} | 1 images |" in shown


def test_only_what_there_is(runs: tuple[str, str]) -> None:
    Path("a/metrics/pickscore.json").unlink()
    shown = said("a")
    assert "people" not in shown
    assert "pickscore" not in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["a", "a"], "the same evaluation was given twice"),
        (["a.csv"], "has no summary.json"),
        (["./c", "--ranks", "rank"], "ranks a, b, none of which is given here"),
    ],
)
def test_what_cannot_be_reported(runs: tuple[str, str], words: list[str], says: str) -> None:
    Path("a").rename("c") if "./c" in words else None
    result = CliRunner().invoke(main, ["card", *words], catch_exceptions=False)
    assert result.exit_code == 2
    assert says in " ".join(result.output.split())
