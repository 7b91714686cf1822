"""A whole evaluation with a real, tiny pipeline: layout, rows, summary, continuing, refusing."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from small_memory import Small

from sipo.backbones.base import Backbone, Generated, Sampler
from sipo.backbones.seeds import image_seed
from sipo.common.pictures.picture import read_image
from sipo.common.pictures.sharpness import sharpness
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict, decide
from sipo.geneval.evaluate import evaluate
from sipo.geneval.settings import EvalSettings
from sipo.geneval.tables import evaluation_table

MakeSettings = Callable[..., EvalSettings]


class SeesACat:
    """One cat in every image."""

    def describe(self) -> dict[str, str]:
        return {"id": "sees-a-cat"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return [decide(prompt, [Box("cat", 0.5, (1, 2, 3, 4))]) for prompt in prompts]


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def sampled(monkeypatch: pytest.MonkeyPatch, tiny_backbone: Backbone) -> list[int]:
    """The seeds that are sampled during the test, in order."""
    seeds: list[int] = []
    kind = type(tiny_backbone)
    original = kind.sample

    def sample(
        self: Backbone, texts: Sequence[str], wanted: Sequence[int], sampler: Sampler
    ) -> list[Generated]:
        seeds.extend(wanted)
        return original(self, texts, wanted, sampler)

    monkeypatch.setattr(kind, "sample", sample)
    return seeds


def test_layout_and_rows_are_official(
    make_settings: MakeSettings, tiny_backbone: Backbone, prompts: list[Prompt]
) -> None:
    settings = make_settings()
    evaluate(settings, tiny_backbone, SeesACat())
    for number, prompt in enumerate(prompts):
        folder = settings.out / f"{number:05d}"
        assert json.loads((folder / "metadata.jsonl").read_text()) == prompt.to_row()
        assert sorted(p.name for p in (folder / "samples").iterdir()) == ["0000.png", "0001.png"]
    rows = [json.loads(line) for line in (settings.out / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 12
    assert rows[0] == {
        "filename": "00000/samples/0000.png",
        "tag": "single_object",
        "prompt": "a photo of a cat",
        "correct": True,
        "reason": "",
        "metadata": prompts[0].to_json(),
        "details": '{"cat": [[1.0, 2.0, 3.0, 4.0, 0.5]]}',
        "complaints": [],
        "sharpness": sharpness(read_image(settings.out / "00000/samples/0000.png")),
    }
    assert rows[2]["reason"] == "expected dog>=1, found 0"
    assert rows[2]["complaints"] == [{"clause": "dog", "kind": "missing", "wanted": 1, "seen": 0}]


def test_the_summary_says_what_it_depends_on(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    settings = make_settings(steps=1)
    summary = evaluate(settings, tiny_backbone, SeesACat())
    assert summary.to_dict() == json.loads((settings.out / "summary.json").read_text())
    assert summary.overall == pytest.approx(1 / 6)
    assert summary.tags["single_object"].accuracy == 0.5
    assert summary.tags["single_object"].images == 4
    assert summary.tags["counting"].interval == (0, 0)
    assert summary.empty_share == 0
    rows = [json.loads(line) for line in (settings.out / "results.jsonl").read_text().splitlines()]
    assert summary.sharpness == pytest.approx(sum(row["sharpness"] for row in rows) / len(rows))
    assert summary.single_object_confidence == pytest.approx(0.25)  # a cat of .5, and no dog
    assert [(row["tag"], row["kind"]) for row in summary.complaints] == [
        (tag, "missing") for tag in ("single_object", "counting", "colors")
    ]
    assert summary.complaints[0]["share"] == 0.5
    assert summary.complaints[0]["example"] == "expected dog>=1, found 0"
    assert summary.detector == {"id": "sees-a-cat"}
    assert summary.sampler == {"steps": 1, "guidance": 2.0, "height": None, "width": None}
    assert summary.seeds.seed == 0
    assert summary.backbone["weights_sha256"] == tiny_backbone.weights_sha256()
    assert "--steps 1" in summary.command
    assert {"sipo", "torch", "diffusers"} <= summary.versions.keys()


def test_a_summary_of_before_has_no_sharpness(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    """It stays as it is, and its table does without; of a judge without boxes no one is sure."""
    settings = make_settings(steps=1)
    whole = evaluate(settings, tiny_backbone)
    assert whole.single_object_confidence is None
    lines = evaluation_table(whole).splitlines()
    assert f"Sharpness (variance of the Laplacian): {whole.sharpness:.1f}" in lines
    new = {"sharpness", "single_object_confidence"}
    before = {name: value for name, value in whole.to_dict().items() if name not in new}
    (settings.out / "summary.json").write_text(json.dumps(before))
    again = evaluate(settings, tiny_backbone)
    assert again.to_dict() == before
    assert "Sharpness" not in evaluation_table(again)


def test_an_image_is_seeded_by_its_prompt(
    make_settings: MakeSettings, tiny_backbone: Backbone, sampled: list[int]
) -> None:
    evaluate(make_settings(seed=3), tiny_backbone)
    assert sampled[:2] == [image_seed(3, "a photo of a cat", index) for index in range(2)]


def test_what_is_there_is_not_sampled_again(
    make_settings: MakeSettings, tiny_backbone: Backbone, sampled: list[int]
) -> None:
    settings = make_settings()
    evaluate(settings, tiny_backbone)
    whole = contents(settings.out)
    sampled.clear()
    evaluate(settings, tiny_backbone)
    assert sampled == []
    lost = [settings.out / "00003/samples/0000.png", settings.out / "summary.json"]
    for path in lost:
        path.unlink()
    evaluate(settings, tiny_backbone)
    assert len(sampled) == 5  # its batch, so that the arithmetic is the same
    assert contents(settings.out) == whole


def test_other_settings_in_the_same_folder_are_refused(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    evaluate(make_settings(), tiny_backbone)
    with pytest.raises(ValueError, match=r"--steps 2, this command says 1; .*--out"):
        evaluate(make_settings(steps=1), tiny_backbone)


def test_missing_images_are_named(make_settings: MakeSettings, tiny_backbone: Backbone) -> None:
    made = make_settings("made")
    evaluate(made, tiny_backbone)
    (made.out / "00004/samples/0001.png").unlink()
    again = make_settings(images=made.out, images_per_prompt=2)
    with pytest.raises(ValueError, match=r"1 of 12 images are missing .*00004/samples/0001\.png"):
        evaluate(again)
    with pytest.raises(ValueError, match=r"has 2 images where 1 are expected"):
        evaluate(make_settings(images=made.out, images_per_prompt=1))


def test_a_missing_prompt_is_named(
    make_settings: MakeSettings, tiny_backbone: Backbone, prompts: list[Prompt]
) -> None:
    made = make_settings("made")
    evaluate(made, tiny_backbone)
    shutil.rmtree(made.out / "00005")
    again = make_settings(images=made.out, images_per_prompt=2)
    with pytest.raises(ValueError, match=re.escape(f"missing is 00005, {prompts[5].text!r}")):
        evaluate(again)


def test_a_second_judge_sees_the_same_images(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    first = evaluate(make_settings("made"), tiny_backbone)
    settings = make_settings(images=make_settings("made").out, images_per_prompt=2, prompts=None)
    second = evaluate(settings, judge=SeesACat())
    assert second.images_sha256 == first.images_sha256
    assert second.seeds == first.seeds
    assert second.detector == {"id": "sees-a-cat"}
    assert not list(settings.out.glob("0*"))


def test_what_the_judge_failed_on_is_counted_and_in_no_accuracy(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    settings = make_settings()
    evaluate(settings, tiny_backbone)
    (settings.out / "00002/samples/0001.png").write_bytes(b"no image")
    summary = evaluate(settings, tiny_backbone, FakeJudge(fails_on=["a photo of a cat"]))
    assert summary.failures.to_dict() == {
        "images": 3,
        "causes": {"asked to fail": 2, "unreadable image (not an image)": 1},
        "names": [
            "00000/samples/0000.png",
            "00000/samples/0001.png",
            "00002/samples/0001.png",
        ],
    }
    assert summary.tags["single_object"].images == 2
    assert len((settings.out / "results.jsonl").read_text().splitlines()) == 9


def test_a_tag_without_verdicts_is_an_error(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    judge = FakeJudge(fails_on=["a photo of a cat", "a photo of a dog"])
    with pytest.raises(ValueError, match="failed on every image of tag 'single_object'"):
        evaluate(make_settings(), tiny_backbone, judge)


def test_batch_size_is_no_part_of_what_a_folder_is(
    make_settings: MakeSettings, tiny_backbone: Backbone
) -> None:
    """Begun with 5, gone on with 3 of which the memory takes 1: the images of one at a time."""
    whole = make_settings("whole", batch_size=1)
    evaluate(whole, tiny_backbone, FakeJudge())
    evaluate(settings := make_settings(), tiny_backbone, FakeJudge())
    for image in settings.out.glob("*/samples/*.png"):
        image.unlink()
    (settings.out / "summary.json").unlink()
    small: Any = Small(tiny_backbone, 1)
    evaluate(settings.model_copy(update={"batch_size": 3}), small, FakeJudge())
    assert small.sizes == [3] + [1] * 12
    assert json.loads((settings.out / "config.json").read_text())["batch_size"] == 5
    images = [
        {name: data for name, data in contents(folder.out).items() if name.endswith(".png")}
        for folder in (whole, settings)
    ]
    assert images[0] == images[1]
