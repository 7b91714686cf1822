"""Texts in images: which are asked for, how what was read is compared, and real reading."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from needs import needs
from PIL import Image, ImageDraw, ImageFont

from sipo.datagen.cli import main
from sipo.feedback.explained.drawn_boxes import drawn_boxes
from sipo.feedback.explained.plain_words import in_plain_words
from sipo.feedback.judge_needs import check_judge_weights
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.asked_texts import texts_of
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt, plain_text, prompt_of
from sipo.feedback.registry import load_judge
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.written import compared
from sipo.feedback.scorers import ocr_reader
from sipo.feedback.scorers.ocr import OcrJudge

WHITE = Image.new("RGB", (64, 64), "white")


class Reads:
    """Whatever the image, these lines."""

    def __init__(self, *lines: str) -> None:
        self._lines = lines

    def describe(self) -> dict[str, object]:
        return {"library": "by hand"}

    def lines(self, image: Image.Image) -> list[Box]:
        return [Box(line, 0.9, (0, 20 * n, 40, 20 * n + 15)) for n, line in enumerate(self._lines)]


@pytest.mark.parametrize(
    ("prompt", "texts"),
    [
        ('a sign that says "OPEN"', ("OPEN",)),
        ('"Bread" over a door, "10-18" on it', ("Bread", "10-18")),
        ("a cup with “good morning”, « bonjour » and 「朝」", ("good morning", "bonjour", "朝")),
        ('a 12" pizza beside a 14" one', ()),
        ("the dogs' bowl says 'Rex'", ()),
        ('an unfinished "quote', ()),
        ('"" and "..."', ()),
    ],
)
def test_quotes_say_what_is_to_be_read(prompt: str, texts: tuple[str, ...]) -> None:
    assert texts_of(plain_text(prompt)) == texts


def test_a_row_may_say_it_itself() -> None:
    row = {"prompt": "a \"nice\" sign: rock 'n' roll", "texts": ["rock 'n' roll"]}
    prompt = prompt_of(row, "")
    assert texts_of(prompt) == ("rock 'n' roll",)
    assert prompt_of(prompt.to_row(), "") == prompt
    with_clauses = grammar.single_object("cat").to_row() | {"texts": ["MEOW"]}
    assert texts_of(prompt_of(with_clauses, "")) == ("MEOW",)
    for texts, says in (
        ([], "row 1: texts is empty; ask one, or leave it out"),
        (["OPEN", " "], "row 1: .*one of texts is blank; write what the image should say"),
        ([3], r"row 1: texts\.0"),
        ("OPEN", "row 1: texts: "),
    ):
        with pytest.raises(ValueError, match=says):
            prompt_of({"prompt": "a sign", "texts": texts}, "row 1")


@pytest.mark.parametrize(
    ("asked", "read", "edits", "characters"),
    [
        (["OPEN"], ["OPEN"], 0, 4),
        (["Hello World"], ["hello", "WORLD"], 0, 10),  # lines, case and spaces do not count
        (["Hello World"], ["HelloWorld"], 0, 10),
        (["don’t"], ["DON'T"], 0, 5),
        (["OPEN"], ["Café", "OPEN", "since 1990"], 0, 4),  # nor what stands beside it
        (["OPEN"], ["OPEN!"], 0, 4),
        (["OPEN"], ["OPEM", "till nine"], 1, 4),  # of the nearest run of words
        (["OPEN"], ["OPENING"], 3, 4),  # OPENING without ING
        (["OPEN"], ["closed"], 4, 4),  # -c, l->o, o->p, s->e, e->n, -d is 6: nothing is nearer
        (["OPEN"], [], 4, 4),
        (["kitten"], ["sitting"], 3, 6),  # Levenshtein's own: k->s, e->i, +g
        (["STOP", "STOP"], ["stop"], 4, 8),  # twice is twice
        (["STOP", "GO"], ["stop", "g0"], 1, 6),
        (["SHOP", "SHOP NOW"], ["shop now", "shap"], 1, 11),  # the longer is taken out first
        (["营业中"], ["今日营业中"], 0, 3),  # no spaces part words there
        (["ＯＰＥＮ"], ["open"], 0, 4),
    ],
)
def test_edits_by_hand(asked: list[str], read: list[str], edits: int, characters: int) -> None:
    found = compared(asked, read)
    assert (found.edits, found.characters) == (edits, characters)
    assert found.score == 1 - edits / characters
    assert bool(found.missing) == (edits > 0)


def test_a_verdict_holds_what_was_read_and_where() -> None:
    prompt = plain_text('a sign "OPEN" and "24h"')
    right, wrong = (
        OcrJudge(Reads(*lines)).judge([WHITE], [prompt])[0]
        for lines in (("Open", "24 H"), ("OPEM", "24h"))
    )
    assert (right.score, right.correct, right.complaints) == (1, True, ())
    assert (wrong.score, wrong.correct) == (1 - 1 / 7, False)
    assert wrong.reason == "expected text 'OPEN', read 'OPEM / 24h'"
    assert in_plain_words(prompt, wrong.complaints) == ["“OPEN” is not there; read is “OPEM / 24h”"]
    assert wrong.evidence == {"asked": ["OPEN", "24h"], "read": ["OPEM", "24h"], "edits": 1}
    assert [box.xyxy for box in wrong.boxes] == [(0, 0, 40, 15), (0, 20, 40, 35)]
    assert wrong.judge == {"id": "ocr", "library": "by hand", "rule": 1}
    drawn = drawn_boxes(prompt, wrong.boxes, wrong.complaints)
    assert {box.label for box in drawn} == {"OPEM .90", "24h .90"}


def test_no_text_asked_is_a_failure_and_no_0() -> None:
    judge = OcrJudge(Reads("OPEN"))
    good, bad = judge.judge([WHITE, WHITE], [plain_text('"open"'), plain_text("a cat")])
    assert good.score == 1
    assert bad.score is None
    assert bad.failure == "the prompt asks for no text: none in double quotes"
    with pytest.raises(ValueError, match=r"failed on all of its first 2 images: the prompt asks"):
        OcrJudge(Reads()).judge([WHITE, WHITE], [plain_text("a cat")] * 2)


def test_it_is_refused_before_anything_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = [plain_text('"A"'), plain_text("a cat"), grammar.single_object("dog")]
    says = r"--judge 'ocr' reads the texts .* by 2 of the 3 prompts of 'list', the first number 2, "
    with pytest.raises(ValueError, match=says + "'a cat'; put it in double quotes"):
        check_prompts("fake,ocr", prompts, "list")
    check_prompts("ocr", prompts[:1], "list")
    monkeypatch.setattr(ocr_reader, "LIBRARIES", ("rapidocr_that_is_not",))
    needed = r"judge 'ocr' needs rapidocr_that_is_not; pip install 'sipo\[ocr\]'"
    with pytest.raises(ValueError, match=needed):
        check_judge_weights("ocr", None, ())
    with pytest.raises(ValueError, match=needed):
        load_judge("ocr", None, ())
    with pytest.raises(
        ValueError, match=r"reads with the models of its library, not with 'a\.onnx'"
    ):
        load_judge("ocr", "a.onnx", ())
    with pytest.raises(ValueError, match=r"judge 'ocr', setting least: .*less than or equal to 1"):
        load_judge("ocr", None, (), {"ocr": {"least": 2}})
    words = ["--judge", "ocr", "--backbone", "mini-sd", "--out", str(tmp_path / "out")]
    (tmp_path / "cats.txt").write_text("a cat\n", encoding="utf-8")
    refused = CliRunner().invoke(
        main, ["generate", "--prompts", str(tmp_path / "cats.txt"), *words]
    )
    assert refused.exit_code == 2
    assert "Error: --judge 'ocr' reads the texts that a prompt asks for" in refused.output


def drawn(*lines: tuple[str, str], ground: str = "white", size_px: int = 40) -> Image.Image:
    """(text, colour), one under the other."""
    image = Image.new("RGB", (320, 30 + 70 * len(lines)), ground)
    font = ImageFont.load_default(size_px)
    for number, (text, colour) in enumerate(lines):
        ImageDraw.Draw(image).text((20, 20 + 70 * number), text, fill=colour, font=font)
    return image


@needs("rapidocr", "ocr")
@needs("onnxruntime", "ocr")
def test_pictures_are_read() -> None:
    judge = load_judge("ocr", None, ())
    sign = drawn(("OPEN", "red"), ("till nine", "black"))
    asked: list[Prompt] = [
        plain_text('"Open"'),
        plain_text('"OPEN" over "till nine"'),
        plain_text('"OPEM"'),
    ]
    first, both, wrong = judge.judge([sign] * 3, asked)
    assert (first.score, first.correct, both.correct) == (1, True, True)
    assert (wrong.score, wrong.correct) == (0.75, False)
    top = first.boxes[0]
    assert top.class_name.upper() == "OPEN"
    assert top.score > 0.8
    x1, y1, x2, y2 = top.xyxy
    assert 10 < x1 < 30 < 120 < x2 < 160
    assert 10 < y1 < 40 < 45 < y2 < 80
    night = drawn(("Coffee 24h", "gold"), ground="navy")
    (empty, dark, sloping) = judge.judge(
        [WHITE, night, night.rotate(5, fillcolor="navy")], [plain_text('"coffee 24h"')] * 3
    )
    assert (empty.score, empty.correct, empty.boxes) == (0, False, ())
    assert (dark.correct, sloping.correct) == (True, True)
    description = judge.describe()
    assert len(str(description["weights_sha256"])) == 64
    assert str(description["library"]).startswith("rapidocr 3.")
    json.dumps([dark.model_dump(mode="json"), description])  # as shards write it
