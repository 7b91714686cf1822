"""A suite that asks, from its file to the table: judged by a scripted server, counted by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import suite_samples as samples
from click.testing import CliRunner
from PIL import Image
from scripted_server import Call, Said, ScriptedServer, asked, chat, scripted

from sipo.feedback.remote import http_calls
from sipo.geneval.cli import main

YES = {
    "Are there dogs?": 0.9,
    "Are the dogs brown?": 0.2,
    "Is there grass?": 0.8,
    "Are the brown dogs on grass?": 0.7,
    "Is it night?": 0.6,
    "Does it rain?": 0.4,
}
"""The chance of "yes" to the questions of samples.DPG."""


class Answering:
    """`yes` may be changed between two evaluations; a question it does not know is answered .5."""

    def __init__(self, server: ScriptedServer) -> None:
        self.judge = f"http={server.url}/v1"
        self.yes: Mapping[str, float] = YES


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    monkeypatch.setattr(http_calls, "FIRST_WAIT_S", 0.002)

    def script(call: Call) -> Said:
        chance = found.yes.get(asked(call).removesuffix(" Answer in one word."), 0.5)
        return chat({"Yes": math.log(chance), "No": math.log(1 - chance)})

    with scripted(script, models={"data": [{"id": "m"}]}) as server:
        found = Answering(server)
        yield found


def run(*words: object) -> str:
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def read(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())


def paint(path: Path, size: tuple[int, int] = (8, 8), **save: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = sum(path.name.encode()) % 200
    Image.new("RGB", size, (shade, 90, 30)).save(path, **save)
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """An image of each prompt of samples.DPG."""
    texts = dict.fromkeys(row[1] for row in samples.DPG)
    rows = [[str(paint(tmp_path / f"{n}.png")), text] for n, text in enumerate(texts)]
    return samples.write_table(tmp_path / "images.csv", ["image", "prompt"], rows)


def test_dpg_from_its_csv_to_the_table(tmp_path: Path, listed: Path, answering: Answering) -> None:
    """Two dogs: .9 + .2 + .8 + .7 = 2.6 of 4; the dogs are not brown (.2), so that they are on
    grass does not count: 1.9 of 4. Rain: .6 + .4 of 2, no parents."""
    words = ("--prompts", samples.dpg_csv(tmp_path), "--images", listed, "--judge", answering.judge)
    shown = run(*words, "--out", tmp_path / "eval")
    found = read(tmp_path / "eval")["questions"]
    assert found["rule"] == "dependent"

    def means(row: Any) -> list[float]:
        return [row[rule]["value"] for rule in ("arithmetic", "dependent", "geometric")]

    dogs, rain = (0.9 * 0.2 * 0.8 * 0.7) ** (1 / 4), (0.6 * 0.4) ** (1 / 2)
    assert means(found["overall"]) == pytest.approx(
        [(0.65 + 0.5) / 2, (0.475 + 0.5) / 2, (dogs + rain) / 2]
    )
    by_category = {name: means(row) for name, row in found["categories"].items()}
    entity = (2 * (0.9 * 0.8) ** (1 / 2) + 0.4) / 3  # two answers of the dogs, one of the rain
    assert by_category == {
        "entity": pytest.approx([0.7, 0.7, entity]),
        "attribute": pytest.approx([0.2] * 3),
        "relation": pytest.approx([0.7, 0.0, 0.7]),
        "global": pytest.approx([0.6] * 3),
    }
    assert found["overall"]["prompts"] == 2
    assert found["overall"]["dependent"]["interval"] == pytest.approx([0.475, 0.5])
    assert found["categories"]["relation"]["dependent"]["interval"] is None
    assert "dependent*" in shown
    line = next(line for line in shown.split("\n") if "  relation" in line)
    assert line.split() == ["relation", "0.700", "none", "0.000", "none", "0.700", "none"]
    first = json.loads((tmp_path / "eval/results.jsonl").read_text().split("\n")[0])
    assert first["answers"]["chances"] == pytest.approx({"1": 0.9, "2": 0.2, "3": 0.8, "4": 0.7})
    assert first["answers"]["rule"] == "dependent"

    again = run(*words, "--out", tmp_path / "eval")  # done: read, and not judged again
    assert again == shown
    answering.yes = YES | {"Are the dogs brown?": 0.6}
    run(*words, "--out", tmp_path / "better")
    gains = json.loads(run("compare", tmp_path / "eval", tmp_path / "better", "--json"))
    # brown now: dogs 1.9 -> .9 + .6 + .8 + .7 = 3.0 of 4; (3.0 - 1.9) / 4 / 2 prompts
    asked_of = gains["questions"]
    assert asked_of["overall"]["dependent"]["difference"] == pytest.approx(0.1375)
    assert asked_of["overall"]["arithmetic"]["difference"] == pytest.approx(0.4 / 4 / 2)
    assert asked_of["categories"]["relation"]["difference"] == pytest.approx(0.7)
    table = run("compare", tmp_path / "eval", tmp_path / "better")
    assert "answers; groups and categories by dependent" in table
    assert "category relation" in table


def test_a_setting_says_another_rule(tmp_path: Path, listed: Path, answering: Answering) -> None:
    (tmp_path / "judge.json").write_text('{"http": {"mean": "geometric", "answers": "logprobs"}}')
    run(
        *("--prompts", samples.dpg_csv(tmp_path), "--images", listed, "--judge", answering.judge),
        *("--judge-settings", tmp_path / "judge.json", "--out", tmp_path / "eval"),
    )
    assert read(tmp_path / "eval")["questions"]["rule"] == "geometric"


def test_groups_of_tiif(tmp_path: Path, answering: Answering) -> None:
    """ "Is the cup right of the plate?" is to be answered no: 1 - .3."""
    answering.yes = {"Is there a cup?": 0.8, "Is the cup right of the plate?": 0.3}
    row = samples.TIIF_ROW
    texts = [str(row[f"{length}_description"]) for length in ("short", "long")]
    rows = [[str(paint(tmp_path / f"{n}.png")), text] for n, text in enumerate(texts)]
    listed = samples.write_table(tmp_path / "images.csv", ["image", "prompt"], rows)
    run(
        *("--prompts", samples.tiif(tmp_path), "--images", listed, "--judge", answering.judge),
        *("--out", tmp_path / "eval"),
    )
    summary = read(tmp_path / "eval")
    assert list(summary["groups"]) == ["short", "long"]
    groups = summary["questions"]["groups"]
    assert [groups[name]["arithmetic"]["value"] for name in groups] == pytest.approx([0.75] * 2)
    assert summary["questions"]["categories"].keys() == {"2d_spatial_relation"}


def test_images_by_index_as_unigenbench_has_them(tmp_path: Path, answering: Answering) -> None:
    folder, prompts = tmp_path / "images", samples.unigenbench(tmp_path)
    names = [f"{index}_{n}.png" for index in range(2) for n in range(4)]
    for name in names:
        paint(folder / name)
    words = ("--prompts", prompts, "--images", folder, "--judge", answering.judge)
    assert "8 in" in run(*words, "--dry-run")
    run(*words, "--out", tmp_path / "eval")
    assert read(tmp_path / "eval")["questions"]["overall"]["images"] == 8
    kept = tmp_path / "eval/00001/samples/0003.png"
    assert kept.read_bytes() == (folder / "1_3.png").read_bytes()
    assert "questions" in (tmp_path / "eval/00001/metadata.jsonl").read_text()
    (folder / "1_2.png").unlink()
    assert "has no 1_2; generate what is missing" in refused(*words)
    for name in names[4:]:
        (folder / name).unlink(missing_ok=True)
    assert "has no images of 1 of 2 prompts: 1; they are looked for as <id>_0" in refused(*words)


def test_images_of_oneigs_grids(tmp_path: Path, answering: Answering) -> None:
    folder, prompts = tmp_path / "images", samples.oneig(tmp_path)
    grid = Image.new("RGB", (16, 8))
    for n, colour in enumerate(["red", "lime", "blue", "white"]):
        grid.paste(Image.new("RGB", (8, 4), colour), (n % 2 * 8, n // 2 * 4))
    for group in ("object", "human"):
        (folder / group / "model").mkdir(parents=True)
        grid.save(folder / group / "model" / "000.webp", lossless=True)
    words = ("--prompts", prompts, "--images", folder, "--judge", answering.judge)
    run(*words, "--out", tmp_path / "eval")
    assert read(tmp_path / "eval")["questions"]["overall"]["images"] == 8
    seen = [Image.open(tmp_path / f"eval/00001/samples/000{n}.png") for n in range(4)]
    assert [image.size for image in seen] == [(8, 4)] * 4
    corners = [image.getpixel((4, 2)) for image in seen]
    assert corners == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]
    paint(folder / "object/other/000.webp", (8, 8))
    assert "are both of prompt 'object-000'; give the folder of one model" in refused(*words)
    (folder / "object/model/000.webp").unlink()
    paint(folder / "object/other/000.webp", (9, 8))
    said = refused(*words, "--out", tmp_path / "odd")
    assert "is 9x8, which is no grid of 2 x 2 images of one size" in said


def test_a_folder_of_the_texts_alone(tmp_path: Path, answering: Answering) -> None:
    """Sampled before there were questions."""
    texts = dict.fromkeys(row[1] for row in samples.DPG)
    for number, text in enumerate(texts):
        paint(tmp_path / f"plain/{number:05d}/samples/0000.png")
        metadata = tmp_path / f"plain/{number:05d}/metadata.jsonl"
        metadata.write_text(json.dumps({"prompt": text}))
    words = ("--prompts", samples.dpg_csv(tmp_path), "--images", tmp_path / "plain")
    run(*words, "--judge", answering.judge, "--out", tmp_path / "eval")
    assert read(tmp_path / "eval")["questions"]["overall"]["prompts"] == 2


def test_geneval_plus_by_a_detector_has_its_groups(tmp_path: Path) -> None:
    folder = tmp_path / "images"
    for name in ("1_0.png", "2_0.png"):
        paint(folder / name)
    prompts, out = samples.geneval_plus(tmp_path), tmp_path / "eval"
    words = ("--prompts", prompts, "--images", folder, "--judge", "fake")
    shown = run(*words, "--out", out)
    assert read(out)["groups"].keys() == {"color/count", "color"}
    assert "color/count" in shown
    assert run("compare", out, out).count("color/count") == 1


def test_a_detector_is_told_that_a_suite_asks(tmp_path: Path, listed: Path) -> None:
    words = ("--prompts", samples.dpg_csv(tmp_path), "--images", listed)
    said = refused(*words, "--judge", "mask2former")
    assert "looks for the objects of a prompt" in said
    assert "or a judge that asks their questions: vlm, http=URL" in said


def refused(*words: object) -> str:
    result = CliRunner().invoke(main, list(map(str, words)), catch_exceptions=False)
    assert result.exit_code == 2, result.output
    return " ".join(result.output.split())
