"""Images that a list names: what it may look like, what is counted, what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.common.pictures.picture import make_clip
from sipo.feedback.fake import FakeJudge
from sipo.feedback.listed_images import read_listed
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.cli import main
from sipo.geneval.comparison.metric_scores import score_runs
from sipo.geneval.comparison.paired import compare
from sipo.geneval.evaluate import evaluate, plan
from sipo.geneval.results import read_rows
from sipo.geneval.settings import EvalSettings

MakeSettings = Callable[..., EvalSettings]


@pytest.fixture
def pictures(tmp_path: Path) -> list[str]:
    """Names of four formats, relative to the list beside them."""
    names = ["a.png", "B.JPG", "sub/c.webp", "d.jpeg"]
    (tmp_path / "sub").mkdir()
    for red, name in enumerate(names):
        kind = {"JPG": "JPEG", "jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}[name.split(".")[1]]
        Image.new("RGB", (8, 8), (60 * red, 0, 0)).save(tmp_path / name, kind)
    return names


def write_csv(path: Path, rows: list[list[str]], encoding: str = "utf-8", mark: str = ",") -> Path:
    with path.open("w", encoding=encoding, newline="") as file:
        csv.writer(file, delimiter=mark).writerows(rows)
    return path


def test_a_csv_of_texts_in_any_format_and_number(
    tmp_path: Path, pictures: list[str], prompts: list[Prompt], make_settings: MakeSettings
) -> None:
    """Texts are matched with the prompts asked for; 1, 2 and 1 images of the three."""
    texts = [prompts[n].text for n in (0, 1, 1, 2)]
    rows = [["prompt", "image"], *map(list, zip(texts, pictures, strict=True))]
    listed = write_csv(tmp_path / "list.csv", rows)
    asked = tmp_path / "three.jsonl"
    asked.write_text("".join(prompt.to_json() + "\n" for prompt in prompts[:3]))
    settings = make_settings(images=listed, prompts=asked)
    assert plan(settings).counts == "1 to 2 a prompt, 2 of 3 have fewer than most"
    summary = evaluate(settings, judge=FakeJudge())
    assert summary.tags["single_object"].images == 3
    assert summary.images_per_prompt == "1 to 2"
    assert [row.filename for row in read_rows(settings.out / "results.jsonl")] == [
        "00000/samples/0000.png",
        "00001/samples/0000.jpg",
        "00001/samples/0001.webp",
        "00002/samples/0000.jpeg",
    ]
    sources = json.loads((settings.out / "sources.json").read_text())
    assert sources["00001/samples/0000.jpg"] == str(tmp_path / "B.JPG")
    assert evaluate(settings, judge=FakeJudge()) == summary
    again = make_settings("again", images=listed, prompts=asked)
    evaluate(again, judge=FakeJudge())
    assert compare(settings.out, again.out).overall.difference == 0
    found = score_runs([settings.out, again.out], "fake", judge=FakeJudge())
    assert [run.images for run in found.runs.values()] == [4, 4]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_excels_csv(tmp_path: Path, pictures: list[str], encoding: str) -> None:
    rows = [["Image", "Prompt"], [pictures[0], "ein Hund, groß\u2028und rot"]]
    [row] = read_listed(write_csv(tmp_path / "list.csv", rows, encoding, ";"))
    assert (row.image, row.prompt.text) == (tmp_path / "a.png", "ein Hund, groß\u2028und rot")
    assert row.prompt.tag == "text"


def test_rows_of_jsonl_in_all_their_forms(
    tmp_path: Path, pictures: list[str], prompts: list[Prompt]
) -> None:
    row = prompts[2].to_row()
    lines = [
        {"image": pictures[0], "prompt": row},
        {"filename": pictures[1], "metadata": json.dumps(row)},
        {"file_name": str(tmp_path / pictures[2]), **row},
        {"path": pictures[3], "caption": prompts[2].text},
    ]
    path = tmp_path / "list.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert [row.prompt for row in read_listed(path, prompts)] == [prompts[2]] * 4
    (tmp_path / "list.json").write_text(json.dumps(lines))
    assert len(read_listed(tmp_path / "list.json")) == 4


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("l.csv", "image,prompt\na.png,\n", "line 2: no prompt; give columns image and prompt"),
        ("l.csv", "picture,prompt\na.png,x\n", "line 2: no image"),
        ("l.csv", "image,prompt\na.png,a cat, red\n", "line 2: more cells than the header"),
        ("l.csv", 'image,prompt\na.png,"a cat\n', "no CSV"),
        ("l.csv", "image,prompt,Image\na.png,x,b.png\n", "two columns are called 'image'"),
        ("l.csv", "", "has no rows"),
        ("l.csv", "image,prompt\na.png,x\nb.png,x\n", "1 of the 2 images .* line 3"),
        ("l.csv", "image,prompt\na.png,x\na.png,x\n", "line 3: .*listed twice"),
        ("l.jsonl", "{}\n", "line 1: no image"),
        ("l.jsonl", '{"image": "a.png"\n', "line 1: not JSON"),
        ("l.jsonl", "[1]\n", "line 1: no JSON object"),
        ("l.jsonl", '{"image": "a.png", "prompt": {"tag": "x"}}\n', "line 1: tag"),
        ("l.jsonl", '{"image": 3, "prompt": "x"}\n', "line 1: no image"),
        ("l.json", '{"image": "a.png"}', "no JSON list of objects"),
        ("l.txt", "a.png x\n", "none of .csv, .tsv, .jsonl and .json"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, pictures: list[str], name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=said):
        read_listed(tmp_path / name)


def test_prompts_without_image_and_images_of_other_prompts(
    tmp_path: Path, pictures: list[str], prompts: list[Prompt], make_settings: MakeSettings
) -> None:
    one = [["image", "prompt"], [pictures[0], prompts[0].text]]
    settings = make_settings(images=write_csv(tmp_path / "l.csv", one))
    with pytest.raises(ValueError, match=r"no image of 5 of 6 prompts: 'a photo of a dog', "):
        plan(settings)
    other = [*one, [pictures[1], "a photo of a yak"]]
    settings = make_settings(images=write_csv(tmp_path / "l.csv", other))
    with pytest.raises(ValueError, match=r"line 3: 'a photo of a yak' is none of the 6 prompts"):
        plan(settings)
    settings = make_settings(images=tmp_path / "l.csv", prompts=None, images_per_prompt=2)
    with pytest.raises(ValueError, match=r"has 1 images of .* where --images-per-prompt 2"):
        plan(settings)


def test_other_peoples_files_in_out_are_left_alone(
    tmp_path: Path, pictures: list[str], make_settings: MakeSettings
) -> None:
    own = tmp_path / "eval/00000/samples/0000.png"
    own.parent.mkdir(parents=True)
    own.write_bytes((tmp_path / pictures[0]).read_bytes())
    listed = write_csv(tmp_path / "l.csv", [["image", "prompt"], [pictures[1], "x"]])
    with pytest.raises(ValueError, match="is of no list; give another --out"):
        evaluate(make_settings(images=listed, prompts=None), judge=FakeJudge())
    inside = write_csv(tmp_path / "m.csv", [["image", "prompt"], [str(own), "x"]])
    with pytest.raises(ValueError, match="give another --out"):
        evaluate(make_settings(images=inside, prompts=None), judge=FakeJudge())
    assert own.is_file()


def test_clips_by_a_list(tmp_path: Path, make_settings: MakeSettings) -> None:
    clip = make_clip([Image.new("RGB", (16, 16))] * 3, 8)
    (tmp_path / "A.MP4").write_bytes(clip.mp4)
    listed = write_csv(tmp_path / "l.csv", [["video", "prompt"], ["A.MP4", "rain"]])
    summary = evaluate(make_settings(images=listed, prompts=None), judge=FakeJudge())
    assert summary.detector["frames"] == {"count": 8, "score": "mean"}
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    both = [["video", "prompt"], ["A.MP4", "rain"], ["b.png", "rain"]]
    mixed = make_settings(images=write_csv(tmp_path / "m.csv", both), prompts=None)
    with pytest.raises(ValueError, match=r"b\.png' is an image and .*A\.MP4' a clip"):
        plan(mixed)


def test_a_folder_of_any_format_and_number(
    tmp_path: Path, prompts: list[Prompt], make_settings: MakeSettings
) -> None:
    """Three images of the first prompt, one of the second; upper case, and names of one's own."""
    made = tmp_path / "theirs"
    names = [["0.JPG", "1.webp", "2.png"], ["my favourite.JPEG"]]
    for number, row in enumerate(names):
        folder = made / f"{number:05d}"
        (folder / "samples").mkdir(parents=True)
        (folder / "metadata.jsonl").write_text(prompts[number].to_json())
        for name in row:
            Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / "samples" / name)
    settings = make_settings(images=made, prompts=None)
    words = ["--images", str(made), "--judge", "fake", "--dry-run"]
    said = CliRunner().invoke(main, words).output
    assert f"4 in {made}: 1 to 3 a prompt, 1 of 2 have fewer than most" in said
    summary = evaluate(settings, judge=FakeJudge())
    assert summary.tags["single_object"].images == 4
    (made / "00000/samples/1.webp").unlink()
    with pytest.raises(ValueError, match=r"1 of 4 images are missing .*00000/samples/0001"):
        plan(settings)
    (made / "00000/samples/1.png").touch()
    (made / "00000/samples/01.webp").touch()
    with pytest.raises(ValueError, match=r"01\.webp and 1\.png, both image 1 of the prompt"):
        plan(settings)


def test_the_judge_of_images_made_elsewhere_is_asked_for(
    tmp_path: Path, pictures: list[str]
) -> None:
    listed = write_csv(tmp_path / "l.csv", [["image", "prompt"], [pictures[0], "x"]])
    refused = CliRunner().invoke(main, ["--images", str(listed), "--dry-run"])
    assert refused.exit_code == 2
    assert "--judge was not given, and the images of" in refused.output
