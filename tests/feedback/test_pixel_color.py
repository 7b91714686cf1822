"""Colours named by pixels, on drawings as sharp and as blurred as a decoder leaves them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from sipo.feedback.detectors.color import ANCHORS, MOST_PIXELS, Mask, PixelColor, _every, _look
from sipo.feedback.detectors.threshold_calibration import see
from sipo.feedback.detectors.yolo_judge import YoloWorldJudge
from sipo.feedback.labelled_images import Labelled
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import COLORS
from sipo.feedback.rule.boxes import Box
from sipo.mini.train.labelled_scenes import labelled_scenes

GREY = (196, 200, 206)
SQUARE = Box("square", 1.0, (16.0, 16.0, 48.0, 48.0))


def square(color: tuple[int, int, int]) -> Image.Image:
    image = Image.new("RGB", (64, 64), GREY)
    image.paste(color, (16, 16, 48, 48))
    return image


@pytest.mark.parametrize("color", COLORS)
def test_all_ten_colors_of_geneval(color: str) -> None:
    assert PixelColor().name(square(ANCHORS[color][0]), SQUARE) == color


def test_only_the_given_colors_are_named() -> None:
    assert PixelColor().name(square((225, 25, 30)), SQUARE, ("blue", "orange")) == "orange"
    with pytest.raises(ValueError, match="'teal' is unknown"):
        PixelColor().name(square((0, 128, 128)), SQUARE, ("teal",))


def test_an_empty_box_has_no_color() -> None:
    plain = Image.new("RGB", (64, 64), GREY)
    assert PixelColor().name(plain, SQUARE) is None
    assert PixelColor().name(plain, Box("square", 1.0, (70.0, 70.0, 80.0, 80.0))) is None


@pytest.mark.parametrize("damage", ["none", "blur", "noise"])
def test_tinted_objects_after_a_decoder(damage: str) -> None:
    rng = np.random.default_rng(3)
    right = []
    for scene in itertools.islice(labelled_scenes(4), 100):
        pixels = scene.image.astype(np.float32)
        if damage == "noise":
            pixels += rng.normal(0, 6, pixels.shape)
        image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
        if damage == "blur":
            image = image.filter(ImageFilter.GaussianBlur(0.7))
        named = [(PixelColor().name(image, box), box.color) for box in scene.boxes if box.color]
        right += [found == true for found, true in named]
    assert len(right) > 80
    assert np.mean(right) >= 0.98


def test_windows_and_roof_do_not_outvote_the_paint() -> None:
    """A quarter of the box is blue; most is the black and white of what a bus has."""
    street = Image.new("RGB", (120, 90), (150, 146, 140))
    for color, box in (
        ((245, 245, 242), (10, 10, 110, 32)),  # roof
        ((30, 95, 190), (10, 32, 110, 70)),
        ((28, 30, 34), (12, 34, 108, 54)),  # windows
        ((245, 245, 242), (10, 64, 110, 70)),  # bumper
        ((40, 40, 42), (20, 60, 40, 78)),  # tyres
        ((40, 40, 42), (80, 60, 100, 78)),
    ):
        street.paste(color, box)
    assert PixelColor().name(street, Box("bus", 1.0, (8.0, 8.0, 112.0, 80.0))) == "blue"


def test_the_blue_bus_of_the_well_known_photograph() -> None:
    package = find_spec("ultralytics")  # not imported: its picture is read in place
    assert package is not None
    assert package.origin is not None
    with Image.open(Path(package.origin).with_name("assets") / "bus.jpg") as photograph:
        box = Box("bus", 1.0, (5.0, 230.0, 805.0, 755.0))
        assert PixelColor().name(photograph, box) == "blue"


@pytest.mark.parametrize("grey", range(0, 256, 15))
def test_no_grey_is_brown(grey: int) -> None:
    whole = Image.new("RGB", (30, 30), (grey, grey, grey))
    named = PixelColor().name(whole, Box("chair", 1.0, (0.0, 0.0, 30.0, 30.0)))
    assert named == ("black" if grey < 130 else "white")


def test_surroundings_of_several_colors_have_less_of_a_vote() -> None:
    meadow = Image.new("RGB", (100, 100), (60, 140, 50))
    meadow.paste((120, 175, 235), (0, 0, 100, 45))  # the sky
    meadow.paste((115, 70, 40), (40, 25, 62, 75))  # a horse in a wide box
    assert PixelColor().name(meadow, Box("horse", 1.0, (22.0, 20.0, 78.0, 80.0))) == "brown"


@pytest.mark.parametrize(
    ("paint", "edge", "color"),
    [((30, 28, 28), (70, 66, 64), "black"), ((240, 240, 238), (205, 204, 200), "white")],
)
def test_an_object_that_fills_the_image_or_stands_on_its_like(
    paint: tuple[int, int, int], edge: tuple[int, int, int], color: str
) -> None:
    """Nothing around it, or the same around it: it was unknown as it did not stand out enough."""
    whole = Image.new("RGB", (60, 60), paint)
    assert PixelColor().name(whole, Box("chair", 1.0, (0.0, 0.0, 60.0, 60.0))) == color
    whole.paste(edge, (26, 10, 32, 50))  # all of it that shows
    assert PixelColor().name(whole, Box("chair", 1.0, (10.0, 5.0, 50.0, 55.0))) == color


def test_a_mask_leaves_the_object_alone() -> None:
    image = Image.new("RGB", (40, 40), (225, 25, 30))
    image.paste((200, 200, 200), (10, 10, 30, 30))
    mask = np.zeros((40, 40), bool)
    mask[10:30, 10:30] = True
    box = Box("cup", 1.0, (0.0, 0.0, 40.0, 40.0))
    assert PixelColor().name(image, box) == "red"
    assert PixelColor().name(image, box, mask=mask) == "white"
    assert PixelColor().name(image, box, mask=np.zeros((40, 40), bool)) is None


def test_a_name_does_not_hang_on_the_rest_of_the_image() -> None:
    scene = next(s for s in labelled_scenes(4) if s.boxes[0].color)
    small, box = Image.fromarray(scene.image), scene.boxes[0]
    large = Image.new("RGB", (300, 200), "lime")
    large.paste(small, (150, 70))
    left, top, right, bottom = box.xyxy
    there = Box(box.class_name, 1.0, (left + 150, top + 70, right + 150, bottom + 70))
    assert PixelColor().name(large, there) == PixelColor().name(small, box) == box.color


@pytest.mark.parametrize("size", [(512, 512), (900, 500), (2000, 4), (3, 700)])
def test_few_pixels_of_a_large_box_are_looked_at(size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (1000, 2100, 3), np.uint8)
    width, height = size
    box = Box("bus", 1.0, (50.0, 50.0, 50.0 + width, 50.0 + height))
    view = _look(Image.fromarray(noise), box, None)
    assert 0.2 * min(MOST_PIXELS, width * height) < len(view.inside) <= 1.3 * MOST_PIXELS
    assert len(view.around)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_every_so_manyth_pixel_is_that_pixel(mode: str) -> None:
    chance = np.random.default_rng(0)
    noise = Image.fromarray(chance.integers(0, 256, (90, 130, 3), np.uint8)).convert(mode)
    whole = np.asarray(noise.convert("RGB"))
    for _ in range(100):
        x, y, step = (int(chance.integers(low, high)) for low, high in ((0, 130), (0, 90), (1, 20)))
        wanted = whole[y::step, x::step]
        found = _every(step, noise, (x, y), (wanted.shape[1], wanted.shape[0]))
        np.testing.assert_array_equal(found, wanted)


def least_cpu_s(work: Callable[[], object], times: int = 10) -> float:
    seconds = []
    for _ in range(times):
        start = time.thread_time()
        work()
        seconds.append(time.thread_time() - start)
    return min(seconds)


def test_a_large_box_is_named_quickly() -> None:
    """Half of what it takes to scale the image for a detector; fifty times as much when every pixel
    had a vote and the image a mask. On other machines it may be another share."""
    noise = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)
    image, box = Image.fromarray(noise), Box("bus", 1.0, (200.0, 200.0, 712.0, 712.0))
    scaled = least_cpu_s(lambda: image.resize((640, 640), Image.Resampling.BILINEAR))
    assert least_cpu_s(lambda: PixelColor().name(image, box)) < 4 * scaled


class CountingNamer(PixelColor):
    """Keeps the classes that it was asked about."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def name(
        self,
        image: Image.Image,
        box: Box,
        colors: Sequence[str] = COLORS,
        mask: Mask | None = None,
    ) -> str | None:
        self.asked.append(box.class_name)
        return super().name(image, box, colors, mask)


def judge_with(namer: PixelColor) -> YoloWorldJudge:
    """Always sees a dog in SQUARE and a cat beside it."""

    def network(pixels: Tensor, texts: Tensor, floor: float, nms_iou: float) -> list[Tensor]:
        rows = torch.tensor([[16.0, 16, 48, 48, 0.9, 0], [2, 2, 12, 12, 0.8, 1]])
        return [rows] * len(pixels)

    texts = torch.eye(512)[:2]
    description = {"weights_sha256": "0" * 64}
    return YoloWorldJudge(
        network, texts, ("dog", "cat"), description=description, image_px=64, color=namer
    )


RED_DOG = grammar.colors("dog", "red")
CAT_AND_DOG = grammar.two_object("cat", "dog")


def test_only_classes_with_a_coloured_clause_are_named() -> None:
    namer = CountingNamer()
    image = square((225, 25, 30))
    first, second = judge_with(namer).judge([image, image], [RED_DOG, CAT_AND_DOG])
    assert namer.asked == ["dog"]
    assert first.correct
    assert second.correct
    colors = [{box.class_name: box.color for box in verdict.boxes} for verdict in (first, second)]
    assert colors == [{"dog": "red", "cat": None}, {"dog": None, "cat": None}]


def test_a_detector_asked_without_a_prompt_names_all() -> None:
    namer = CountingNamer()
    boxes = judge_with(namer).detect([square((225, 25, 30))], 0.1)[0]
    assert namer.asked == ["dog", "cat"]
    assert boxes[0].color == "red"


def test_calibration_names_what_some_prompt_of_the_image_asks(tmp_path: Path) -> None:
    namer = CountingNamer()
    path = tmp_path / "a.png"
    square((225, 25, 30)).save(path)
    seen = see(judge_with(namer), [Labelled(path, p, True) for p in (CAT_AND_DOG, RED_DOG)])
    assert namer.asked == ["dog"]
    assert [box.color for box in seen[1][1] if box.class_name == "dog"] == ["red"]


def test_verdicts_tell_which_rule_named_the_colours() -> None:
    description: dict[str, Any] = judge_with(PixelColor()).describe()
    assert description["color"] == {"id": "pixels", "version": 2}


def test_coloured_classes_of_a_prompt() -> None:
    assert RED_DOG.colored == {"dog"}
    assert CAT_AND_DOG.colored == frozenset()
    assert grammar.color_attr("dog", "red", "cat", "blue").colored == {"dog", "cat"}
