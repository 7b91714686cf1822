"""A vision-language model as a judge: questions, and the probability of their answers."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_judges import tiny_vlm
from transformers import AutoModelForImageTextToText, AutoProcessor

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt, plain_text, prompt_of
from sipo.feedback.prompts.question import Question
from sipo.feedback.prompts.questions import accepted, atoms_of, first_tokens, read_questions
from sipo.feedback.registry import load_judge
from sipo.feedback.vlm import BRIEF, VlmJudge

NOISE = np.random.default_rng(0).integers(0, 256, (56, 40, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vlm(tmp_path_factory.mktemp("tiny") / "vlm")


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        (grammar.single_object("cat"), {"Does the image show any cats?": "yes"}),
        (
            grammar.counting("bench", 3),
            {
                "Does the image show any benchs?": "yes",
                "How many benchs does the image show?": "three",
            },
        ),
        (
            grammar.color_attr("cat", "red", "dog", "blue"),
            {
                "Does the image show any cats?": "yes",
                "Is the cat red?": "yes",
                "Does the image show any dogs?": "yes",
                "Is the dog blue?": "yes",
            },
        ),
        (
            grammar.position("dog", "left of", "cat"),
            {
                "Does the image show any cats?": "yes",
                "Does the image show any dogs?": "yes",
                "Is the dog to the left of the cat?": "yes",
            },
        ),
    ],
)
def test_a_prompt_is_asked_clause_by_clause(prompt: Prompt, asked: dict[str, str]) -> None:
    assert {one.text: one.answer for one in atoms_of(prompt)} == asked


def asked_of(include: list[dict[str, Any]], exclude: list[dict[str, Any]] | None = None) -> Prompt:
    row = {"tag": "two_object", "include": include, "exclude": exclude, "prompt": "a photo"}
    return prompt_of(row, "row")


@pytest.mark.parametrize(
    ("prompt", "asked"),
    [
        (
            asked_of(
                [
                    {"class": "dog", "count": 1, "color": "red", "position": ["left of", 1]},
                    {"class": "dog", "count": 2, "color": "blue"},
                ]
            ),
            {
                "Does the image show any red dogs?": "yes",
                "Is a red dog to the left of the blue dog?": "yes",
                "Does the image show any blue dogs?": "yes",
                "Does the image show two or more blue dogs?": "yes",
            },
        ),
        (
            asked_of(
                [{"class": "dog", "count": 1}],
                [{"class": "cat", "count": 1}, {"class": "dog", "count": 3, "color": "red"}],
            ),
            {
                "Does the image show any dogs?": "yes",
                "Does the image show any cats?": "no",
                "Does the image show three or more red dogs?": "no",
            },
        ),
    ],
)
def test_what_several_clauses_and_exclusions_ask(prompt: Prompt, asked: dict[str, str]) -> None:
    """ "Is the dog red?" would have no answer where another is to be blue."""
    assert {one.text: one.answer for one in atoms_of(prompt)} == asked


def test_plain_text_asks_nothing(folder: Path) -> None:
    judge = load_judge("vlm", folder, ())
    images = [Image.fromarray(NOISE)] * 2
    failed, judged = judge.judge(images, [plain_text("rain"), grammar.single_object("cat")])
    assert failed.failure == "no questions for 'rain' in plain text"
    assert not judged.failed


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"prompt": "x", "vqa_list": [["a", true]]}', "line 1: answer of a row of GenEval 2 is"),
        ('{"prompt": true, "vqa_list": [["a", "b"]]}', "line 1: prompt of a row of GenEval 2 is"),
        ('{"prompt": "x", "vqa_list": []}', "line 1: vqa_list of a row of GenEval 2 is"),
        ('{"prompt": "x", "prompt": "y"}', "line 1: has 'prompt' twice"),
        (
            '{"prompt": "x", "vqa_list": [["a", 2]]}\n{"prompt": "x", "vqa_list": [["b", 2]]}',
            r"q.jsonl' \(judge setting questions\) asks 'x' in two ways",
        ),
    ],
)
def test_odd_questions_are_named(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "q.jsonl").write_text("\ufeff" + text, encoding="utf-8")
    with pytest.raises(ValueError, match=says):
        read_questions(tmp_path / "q.jsonl")


def test_accepted_answers() -> None:
    assert accepted("Yes") == ("yes", " yes", "Yes", " Yes")
    assert accepted("two") == ("two", " two", "Two", " Two", "2", " 2")


def test_answers_of_several_tokens_are_left_out(folder: Path) -> None:
    tokenizer = AutoProcessor.from_pretrained(folder).tokenizer
    spoken = {tokenizer.decode([token]) for token in first_tokens(tokenizer, "two")}
    assert spoken == {"two", " two", "Two", " Two", "2"}  # " 2" would be a space and a digit
    assert [tokenizer.decode([token]) for token in first_tokens(tokenizer, "plastic")] == ["p"]


def test_chances_are_those_of_one_question_at_a_time(folder: Path) -> None:
    """Questions of unequal length share a batch; alone, each needs no padding."""
    judge = load_judge("vlm", folder, ())
    assert isinstance(judge, VlmJudge)
    image = Image.fromarray(NOISE)
    asked = (
        Question(id="1", text="Is the dog to the left of the cat?"),
        Question(id="2", text="How many?", answer="two"),
    )
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    for one, chance in zip(asked, judge.chances([image], asked), strict=True):
        content = [{"type": "image"}, {"type": "text", "text": f"{one.text} {BRIEF}"}]
        text = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
        with torch.no_grad():
            output = model(**processor(images=image, text=text, return_tensors="pt"))
        likely = output.logits[0, -1].softmax(-1)
        expected = sum(float(likely[t]) for t in first_tokens(processor.tokenizer, one.answer))
        assert chance == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("mean", ["arithmetic", "geometric"])
def test_verdict(folder: Path, mean: str) -> None:
    judge = load_judge("vlm", folder, (), {"vlm": {"mean": mean, "least": 0.001}})
    prompt = grammar.counting("cat", 2)
    verdict = judge.judge([Image.fromarray(NOISE)], [prompt])[0]
    assert not verdict.failed, verdict.failure
    chances = [atom[2] for atom in verdict.evidence["atoms"]]
    assert verdict.score == verdict.evidence[mean]
    assert verdict.evidence["arithmetic"] == pytest.approx(sum(chances) / 2)
    assert verdict.evidence["geometric"] == pytest.approx(math.sqrt(math.prod(chances)))
    assert verdict.correct == all(chance >= 0.001 for chance in chances)
    assert verdict.judge["mean"] == mean


def test_questions_of_a_file(folder: Path, tmp_path: Path) -> None:
    rows = tmp_path / "questions.jsonl"
    row = {"prompt": "a photo of a cat", "vqa_list": [["How many cats?", "two"], ["Red?", "Yes"]]}
    rows.write_text(json.dumps(row | {"atom_count": 2, "skills": ["count", "attribute"]}) + "\n")
    asked_of_cat = read_questions(rows)["a photo of a cat"].questions
    assert [(one.text, one.answer) for one in asked_of_cat] == [
        ("How many cats?", "two"),
        ("Red?", "Yes"),
    ]
    judge = load_judge("vlm", folder, (), {"vlm": {"questions": str(rows)}})
    prompts = [grammar.single_object("cat"), grammar.single_object("dog")]
    asked, unknown = judge.judge([Image.fromarray(NOISE)] * 2, prompts)
    assert asked.evidence["answers"]["chances"].keys() == {"1", "2"}
    assert unknown.failure == "no questions for 'a photo of a dog' in the file"
    rows.write_text('{"prompt": "x"}\n')
    with pytest.raises(ValueError, match=r"questions.jsonl' .* has no questions for 'x'"):
        read_questions(rows)
