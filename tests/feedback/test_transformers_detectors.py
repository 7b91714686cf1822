"""OWLv2, Mask2Former and CLIP's colours: real classes at tiny size, the libraries' rules."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from alike import assert_same_verdict
from PIL import Image
from tiny_judges import LABELS, tiny_clip, tiny_mask2former, tiny_owlv2
from transformers import (
    CLIPModel,
    Mask2FormerImageProcessor,
    Owlv2ForObjectDetection,
    Owlv2Processor,
)

from sipo.feedback.detectors.base import with_colors
from sipo.feedback.detectors.clip_color import load_color
from sipo.feedback.detectors.color import Sight
from sipo.feedback.detectors.mask2former import THRESHOLDS, Mask2FormerJudge
from sipo.feedback.detectors.masks import box_of, instances, upscale
from sipo.feedback.detectors.owlv2 import Owlv2Judge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import COLORS, TAGS
from sipo.feedback.registry import load_judge
from sipo.feedback.rule.boxes import Box
from sipo.feedback.scorers.clip import load_processor

CATS = [grammar.single_object("cat")] * 3


def images() -> list[Image.Image]:
    noise = np.random.default_rng(0)
    shapes = ((64, 64), (50, 90), (70, 40))
    return [Image.fromarray(noise.integers(0, 256, (*shape, 3), np.uint8)) for shape in shapes]


@pytest.fixture(scope="module")
def owlv2_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_owlv2(tmp_path_factory.mktemp("tiny") / "owlv2")


@pytest.fixture(scope="module")
def mask2former_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_mask2former(tmp_path_factory.mktemp("tiny") / "mask2former")


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_clip(tmp_path_factory.mktemp("tiny") / "clip")


def test_owlv2_sees_what_the_library_sees(owlv2_folder: Path) -> None:
    settings = {"owlv2": {"nms_iou": 1.0}}  # no box is a double
    judge = load_judge("owlv2", owlv2_folder, ("cat", "dog"), settings)
    assert isinstance(judge, Owlv2Judge)
    model = Owlv2ForObjectDetection.from_pretrained(owlv2_folder).eval()
    processor = Owlv2Processor.from_pretrained(owlv2_folder)
    for image, boxes in zip(images(), judge.detect(images(), 0.0), strict=True):
        texts = [["a photo of a cat", "a photo of a dog"]]
        with torch.no_grad():
            output = model(**processor(images=image, text=texts, return_tensors="pt"))
        labels = output.logits[0].argmax(-1)
        scores = output.logits[0].amax(-1).sigmoid()
        gaps = (output.logits[0, :, 0] - output.logits[0, :, 1]).abs()
        assert len(boxes) == len(scores)
        for i, (x, y, w, h) in enumerate((output.pred_boxes[0] * max(image.size)).tolist()):
            corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
            sides = image.size * 2
            inside = [min(max(v, 0), side) for v, side in zip(corners, sides, strict=True)]
            same = [box for box in boxes if box.xyxy == pytest.approx(inside, abs=1e-2)]
            named = ("cat", "dog") if gaps[i] < 1e-4 else (("cat", "dog")[labels[i]],)
            close = [box for box in same if box.score == pytest.approx(float(scores[i]), abs=1e-5)]
            assert any(box.class_name in named for box in close)


def test_owlv2_judges(owlv2_folder: Path) -> None:
    settings = {"owlv2": {"thresholds": {"single_object": 0.05}}}
    judge = load_judge("owlv2", owlv2_folder, ("cat",), settings)
    about = judge.describe()
    assert about["thresholds"] == dict.fromkeys(TAGS, 0.2) | {
        "single_object": 0.05,
        "counting": 0.3,
    }
    assert len(about["weights_sha256"]) == 64
    together = judge.judge(images(), CATS)
    alone = [judge.judge([image], CATS[:1])[0] for image in images()]
    for a, b in zip(together, alone, strict=True):
        assert_same_verdict(a, b)
    assert not any(verdict.failed for verdict in together), together[0].failure
    assert judge.judge([Image.new("RGB", (0, 0))], CATS[:1])[0].failed


def test_doubles_are_not_counted(owlv2_folder: Path) -> None:
    judge = load_judge("owlv2", owlv2_folder, ("cat", "dog"))
    assert isinstance(judge, Owlv2Judge)
    seen = {
        "boxes": torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [1, 0, 10, 10], [30, 0, 40, 10]]),
        "scores": torch.tensor([0.9, 0.8, 0.7, 0.6]),
        "labels": torch.tensor([0, 0, 1, 0]),
    }
    boxes = judge._boxes(seen, Image.new("RGB", (64, 64)))
    assert [(box.class_name, round(box.score, 1)) for box in boxes] == [
        ("cat", 0.9),
        ("dog", 0.7),
        ("cat", 0.6),
    ]


def test_instances_are_the_library_s() -> None:
    """At 384 x 384, where transformers' own post-processing does not resample."""
    make = torch.Generator().manual_seed(0)
    classes = 3 * torch.randn(1, 5, 4, generator=make)
    coarse = torch.randn(1, 5, 6, 6, generator=make)
    masks = torch.nn.functional.interpolate(coarse, size=(384, 384), mode="bilinear") * 5
    output = SimpleNamespace(class_queries_logits=classes, masks_queries_logits=masks)
    theirs = Mask2FormerImageProcessor().post_process_instance_segmentation(
        output, threshold=0.3, target_sizes=[(384, 384)], return_binary_maps=True
    )[0]
    ours = instances(classes[0], lambda query: masks[0, query], 0.3)
    assert len(ours) == len(theirs["segments_info"]) >= 2
    expected = sorted(
        (info["score"], info["label_id"], mask.bool())
        for info, mask in zip(theirs["segments_info"], theirs["segmentation"], strict=True)
    )
    for (score, label, mask), (our_label, our_score, our_mask) in zip(
        expected, sorted(ours, key=lambda one: one[1]), strict=True
    ):
        assert label == our_label
        assert score == pytest.approx(our_score, abs=1e-6)
        assert (mask != our_mask).float().mean() < 1e-4  # a pixel of 14,000 may lie on the border


def test_a_mask_s_box_and_size() -> None:
    mask = torch.zeros(10, 20, dtype=torch.bool)
    mask[2:5, 7:9] = True
    assert box_of(mask) == (7, 2, 9, 5)
    logits = torch.full((8, 8), -1.0)
    logits[:4, :4] = 1.0  # the image's own part of a padded input
    whole = upscale(logits, padded=(32, 32), seen=(16, 16), image=(40, 60))
    assert whole.shape == (40, 60)
    assert bool((whole[:30, :45] > 0).all())


def test_mask2former_judges_by_the_official_thresholds(mask2former_folder: Path) -> None:
    settings = {"mask2former": {"color": "pixels"}}
    judge = load_judge("mask2former", mask2former_folder, ("computer mouse",), settings)
    assert isinstance(judge, Mask2FormerJudge)
    assert judge.describe()["thresholds"] == {**dict.fromkeys(TAGS, 0.3), "counting": 0.9}
    assert judge.vocabulary == (*LABELS[:2], "computer mouse")
    verdicts = judge.judge(images(), CATS)
    assert not any(verdict.failed for verdict in verdicts), verdicts[0].failure
    found = judge.detect(images(), 0.0)
    for image, boxes in zip(images(), found, strict=True):
        assert boxes
        for box in boxes:
            left, top, right, bottom = box.xyxy
            assert 0 <= left < right <= image.width
            assert 0 <= top < bottom <= image.height
    with pytest.raises(ValueError, match=r"'zebra' is unknown .* computer mouse"):
        load_judge("mask2former", mask2former_folder, ("zebra",), settings)
    assert THRESHOLDS["colors"] == 0.3


def test_a_colour_is_read_off_the_mask_alone(
    mask2former_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"mask2former": {"color": "pixels"}}
    judge = load_judge("mask2former", mask2former_folder, ("cat",), settings)
    assert isinstance(judge, Mask2FormerJudge)
    image = Image.new("RGB", (40, 40), "red")
    image.paste((30, 75, 225), (10, 10, 30, 30))
    mask = torch.zeros(40, 40, dtype=torch.bool)
    mask[10:30, 10:30] = True
    mask[15:20, 10:12] = False
    cat, masks = Box("cat", 0.5, box_of(mask)), {0: mask.numpy()}
    [[named]] = with_colors(judge._color, [image], [[cat]], None, [masks])
    assert named == Box("cat", 0.5, (10, 10, 30, 30), "blue")


def test_clip_names_colours_as_geneval_asks(clip_folder: Path) -> None:
    namer = load_color("clip", clip_folder, "cpu")
    model = CLIPModel.from_pretrained(clip_folder).eval()
    tokenizer, processor = load_processor(clip_folder)
    rows = []
    for color in COLORS:
        one = [f"a photo of a {color} cat", f"a photo of a {color}-colored cat"]
        mean = torch.zeros(16)
        for text in [*one, f"a photo of a {color} object"]:
            with torch.no_grad():
                read = model.get_text_features(**tokenizer(text, return_tensors="pt"))
            mean += read.pooler_output[0] / read.pooler_output[0].norm() / 3
        rows.append(mean / mean.norm())
    for image in images():
        crop = image.crop((3, 5, 37, 33))
        with torch.no_grad():
            seen = model.get_image_features(**processor(images=crop, return_tensors="pt"))
        near = torch.stack(rows) @ seen.pooler_output[0]
        [named] = namer.names([Sight(image, Box("cat", 1.0, (3.2, 4.8, 36.9, 33.1)))])
        assert named == COLORS[int(near.argmax())]
    assert namer.names([Sight(images()[0], Box("cat", 1.0, (5.0, 5.0, 5.2, 9.0)))]) == [None]
    assert len(namer.describe()["weights_sha256"]) == 64


def test_clip_with_the_exact_gelu_names_no_colours(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="quick_gelu"):
        load_color("clip", tiny_clip(tmp_path / "gelu", activation="gelu"), "cpu")
