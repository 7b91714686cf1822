"""The judge and the independent evaluator with their embedded weights, held to one contract."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from alike import assert_same_verdict
from PIL import Image
from tiny_judges import tiny_clip
from torch import Tensor

from sipo.feedback.detectors import yolo_world
from sipo.feedback.detectors.centernet import CenterNet, CenterNetJudge
from sipo.feedback.detectors.yolo_judge import YoloWorldJudge
from sipo.feedback.detectors.yolo_weights import published_file
from sipo.feedback.judge import Judge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.mini_prompts import CLASSES
from sipo.feedback.prompts.prompt import TAGS
from sipo.feedback.registry import load_judge
from sipo.mini.train.labelled_scenes import tagged_scenes
from sipo.mini.world import Layout, Scene, Thing, render

NAMES = ("yolo-world", "mini-evaluator")


@pytest.fixture(scope="module", params=NAMES)
def judge(request: pytest.FixtureRequest) -> Judge:
    return load_judge(request.param, None, CLASSES)


def scenes(tag: str, obey: bool, count: int = 12) -> list[Scene]:
    return list(itertools.islice(tagged_scenes(tag, obey, seed=99), count))


def images(drawn: list[Scene]) -> list[Image.Image]:
    return [Image.fromarray(scene.image) for scene in drawn]


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("obey", [True, False])
def test_rendered_scenes_are_judged_rightly(judge: Judge, tag: str, obey: bool) -> None:
    drawn = scenes(tag, obey)
    verdicts = judge.judge(images(drawn), [scene.prompt for scene in drawn])
    assert sum(verdict.correct == obey for verdict in verdicts) >= len(drawn) - 1
    assert all(verdict.boxes and not verdict.failed for verdict in verdicts)


def test_boxes_are_in_the_image_s_own_pixels(judge: Judge) -> None:
    drawn = scenes("single_object", obey=True)
    wide = [Image.new("RGB", (192, 128), (225, 228, 232)) for _ in drawn]
    for canvas, image in zip(wide, images(drawn), strict=True):
        canvas.paste(image.resize((128, 128), Image.Resampling.BICUBIC))
    off = []
    for big in (False, True):
        seen = wide if big else images(drawn)
        for scene, verdict in zip(drawn, judge.judge(seen, [s.prompt for s in drawn]), strict=True):
            found = [b for b in verdict.boxes if b.class_name == scene.boxes[0].class_name]
            if found:
                true = np.array(scene.boxes[0].xyxy) * (2 if big else 1)
                off.append(np.abs(np.array(found[0].xyxy) - true).max() / (2 if big else 1))
    assert len(off) >= 20
    assert np.median(off) < 1.0


def test_a_batch_is_judged_as_its_images_alone(judge: Judge) -> None:
    drawn = scenes("color_attr", obey=True, count=5)
    prompts = [scene.prompt for scene in drawn]
    together = judge.judge(images(drawn), prompts)
    alone = [judge.judge([i], [p])[0] for i, p in zip(images(drawn), prompts, strict=True)]
    for a, b in zip(together, alone, strict=True):
        assert_same_verdict(a, b)


def test_a_vocabulary_does_not_change_a_verdict(judge: Judge) -> None:
    scene = scenes("single_object", obey=True, count=1)[0]
    small = load_judge(judge.describe()["id"], None, scene.prompt.classes)
    a, b = (one.judge(images([scene]), [scene.prompt])[0] for one in (small, judge))
    assert_same_verdict(a, b)


@pytest.mark.parametrize(("name", "color"), [("cat", "yellow"), ("car", "red"), ("cow", "white")])
def test_an_object_in_its_own_colors_has_a_color(judge: Judge, name: str, color: str) -> None:
    """The evaluator called it unknown, whatever the prompt asked."""
    rng = np.random.default_rng(2)
    drawn = [render(Layout((Thing(name),)), grammar.single_object(name), rng) for _ in range(6)]
    right, wrong = grammar.colors(name, color), grammar.colors(name, "purple")
    assert all(v.correct for v in judge.judge(images(drawn), [right] * len(drawn)))
    for verdict in judge.judge(images(drawn), [wrong] * len(drawn)):
        assert verdict.reason == f"expected purple {name}>=1, found 0 ({color})"


def test_describe_makes_verdicts_comparable(judge: Judge) -> None:
    description = judge.describe()
    assert len(description["weights_sha256"]) == 64
    assert set(description["thresholds"]) == set(TAGS)
    scene = scenes("counting", obey=True, count=1)[0]
    assert judge.judge(images([scene]), [scene.prompt])[0].judge == description


def test_one_bad_image_fails_alone(judge: Judge) -> None:
    scene = scenes("single_object", obey=True, count=1)[0]
    image = images([scene])[0]
    bad = Image.new("RGB", (0, 0))
    first, failed, last = judge.judge([image, bad, image], [scene.prompt] * 3)
    assert_same_verdict(first, last)
    assert not first.failed
    assert failed.failed
    assert failed.score is None
    assert "no pixels" in str(failed.failure)


def test_a_class_that_no_one_named_is_a_failure(judge: Judge) -> None:
    image = images(scenes("single_object", obey=True, count=1))[0]
    verdict = judge.judge([image], [grammar.single_object("zebra")])[0]
    assert verdict.failed
    assert "'zebra'" in str(verdict.failure)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_class_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"class .zebra. is unknown .* cat, dog, horse"):
        load_judge(name, None, ("cat", "zebra"))


@pytest.mark.parametrize("name", NAMES)
def test_missing_weights_are_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        load_judge(name, f"{tmp_path}/nowhere", ("cat",))


def test_outputs_that_are_not_finite_are_a_failure() -> None:
    model = CenterNet(classes=2, colors=1)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    thresholds = dict.fromkeys(TAGS, 0.3)
    broken = CenterNetJudge(
        model, ("cat", "dog"), ("red",), description={}, thresholds=thresholds, image_px=64
    )
    verdict = broken.judge([Image.new("RGB", (64, 64))], [grammar.single_object("cat")])[0]
    assert verdict.failed
    assert "not finite" in str(verdict.failure)


def test_arguments_that_cannot_work_are_named() -> None:
    judge = load_judge("yolo-world", None, CLASSES)
    assert isinstance(judge, YoloWorldJudge)
    with pytest.raises(ValueError, match="2 images for 1 prompts"):
        judge.judge([Image.new("RGB", (64, 64))] * 2, [grammar.single_object("cat")])
    texts = torch.eye(512)[:1]
    with pytest.raises(ValueError, match="image_px=100 must be a multiple of 32"):
        YoloWorldJudge(no_network, texts, ("cat",), description={}, image_px=100)
    with pytest.raises(ValueError, match="thresholds lack two_object"):
        YoloWorldJudge(
            no_network, texts, ("cat",), description={}, thresholds={"single_object": 0.5}
        )


def no_network(pixels: Tensor, texts: Tensor, floor: float, nms_iou: float) -> list[Tensor]:
    return []


class Touch:
    """What a malicious pickle does: run something while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_published_weights_are_read_without_running_them(tmp_path: Path) -> None:
    yolo_world.quiet_ultralytics()
    from ultralytics.nn.tasks import WorldModel

    settings = {
        "yolo-world": {
            "text_encoder": str(tiny_clip(tmp_path / "clip", dimensions=512)),
            "thresholds": {"counting": 0.4},
        }
    }
    model = WorldModel("yolov8n-worldv2.yaml", nc=80, verbose=False)
    torch.save({"model": model.half()}, tmp_path / "yolov8n-worldv2.pt")
    judge = load_judge(
        "yolo-world", tmp_path / "yolov8n-worldv2.pt", ("zebra", "tv remote"), settings
    )
    assert judge.describe()["thresholds"] == dict.fromkeys(TAGS, 0.1) | {"counting": 0.4}
    image = Image.new("RGB", (300, 200))
    assert judge.judge([image], [grammar.single_object("zebra")])[0].score == 0  # untrained

    torch.save({"model": Touch(tmp_path / "ran")}, tmp_path / "evil.pt")
    with pytest.raises(ValueError, match="no YOLO-World model"):
        load_judge("yolo-world", tmp_path / "evil.pt", ("zebra",), settings)
    assert not (tmp_path / "ran").exists()


def test_published_weights_are_found_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"HF_HUB_OFFLINE is set.*releases/download/.*give its"):
        load_judge("yolo-world", "yolov8x-worldv2.pt", ("zebra",))
    kept = tmp_path / "hub" / "checkpoints" / "yolov8x-worldv2.pt"
    kept.parent.mkdir(parents=True)
    kept.touch()
    assert published_file(Path("yolov8x-worldv2.pt")) == kept


def test_ultralytics_leaves_pil_alone() -> None:
    """In a fresh interpreter: only the first import patches."""
    code = (
        "from PIL import Image; plain = Image.open\n"
        "from sipo.feedback.detectors.yolo_world import load_yolo_world\n"
        "load_yolo_world(None, ['cat'])\n"
        "assert Image.open is plain"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
