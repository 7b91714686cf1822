"""Scores that a model writes: what counts as one, from a model here and from a chat's server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scripted_server import Call, Said, scripted
from tiny_judges import tiny_vlm
from transformers import AutoModelForImageTextToText, AutoProcessor

from sipo.feedback.judge_needs import check_judge_weights
from sipo.feedback.prompts.prompt import plain_text
from sipo.feedback.registry import load_judge
from sipo.feedback.unified_reward import number_after, rated

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (56, 40, 3), np.uint8))
AXES = "Alignment Score (1-5): 2.6947\nCoherence Score (1-5): 2\n**Style Score (1-5):** 4.25"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Final Score: 3", 3.0),
        ("**Final Score:** 4.5.", 4.5),
        ("final score : 2", 2.0),
        ("I must end with Final Score: 1 to 5.\nSo\nFinal Score: 4", 4.0),
        ("Final Score (1-5): 2.5", 2.5),
        ("Final Score: -1", -1.0),
        ("Final Score: good", None),
        ("Final Score", None),
        ("Score: 3", None),
        ("Final Score: 1.2.3", None),
        ("", None),
    ],
)
def test_number_after(text: str, number: float | None) -> None:
    assert number_after("Final Score", text) == number


def test_the_score_is_the_mean_of_all_axes() -> None:
    rating = rated(AXES, "axes")
    assert rating.raw == pytest.approx((2.6947 + 2 + 4.25) / 3)
    assert rating.more["parts"] == {
        "Alignment Score": 2.6947,
        "Coherence Score": 2.0,
        "Style Score": 4.25,
    }


@pytest.mark.parametrize(
    ("reply", "cause"),
    [
        (AXES.replace("Coherence", "Other"), "the reply has no number after 'Coherence Score:'"),
        (AXES.replace(": 2\n", ": 6\n"), "the reply's 'Coherence Score' is not from 1 to 5"),
        ("1 2 3", "the reply has no number after 'Alignment Score:'"),
        (ValueError("cut"), "cut"),
    ],
)
def test_a_reply_without_a_score_is_a_failure(reply: Any, cause: str) -> None:
    assert rated(reply, "axes").failure == cause


def test_a_server_is_asked_and_what_it_cannot_say_is_no_zero(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-key")

    def script(call: Call) -> Said:
        text = call.body["messages"][0]["content"][1]["text"]
        caption = text.partition('the caption "')[2].partition('"')[0]
        reply = {"fine": AXES, "rambling": "It is a nice image.", "long": AXES[:30]}[caption]
        cut = "length" if caption == "long" else "stop"
        choice = {"message": {"content": reply}, "finish_reason": cut}
        return Said({"choices": [choice]})

    with scripted(script, models={"data": [{"id": "UnifiedReward"}]}) as server:
        where = f"unified-reward={server.url}/v1"
        check_judge_weights(where, None, ())
        judge = load_judge(where, None, (), {"unified-reward": {"most_tokens": 64}})
        prompts = [plain_text(text) for text in ("fine", "rambling", "long")]
        fine, rambling, long = judge.judge([PICTURE] * 3, prompts)
        body = server.calls[0].body
    assert fine.score == pytest.approx(((2.6947 + 2 + 4.25) / 3 - 1) / 4)
    assert fine.judge["model"] == "UnifiedReward"
    assert fine.judge["id"] == "unified-reward"
    assert (rambling.score, long.score) == (None, None)
    assert rambling.failure == "the reply has no number after 'Alignment Score:'"
    assert rambling.evidence["reply"] == "It is a nice image."
    assert long.failure == "the reply was cut short at 64 tokens (setting most_tokens)"
    assert (body["max_tokens"], body["temperature"]) == (64, 0)


def test_a_model_here_writes_its_score(tmp_path: Path) -> None:
    """Its last layer is set so that, of this picture and question, it writes one score and ends."""
    question = tmp_path / "question.txt"
    question.write_text("Rate: {text_prompt}", encoding="utf-8")
    folder = tiny_vlm(tmp_path / "vlm")
    written = teach(folder, "Final Score: 4", "Rate: rain")
    settings = {"unified-reward": {"form": "final", "most_tokens": 8, "question": str(question)}}
    judge = load_judge("unified-reward", folder, (), settings)
    (verdict,) = judge.judge([PICTURE], [plain_text("rain")])
    assert verdict.evidence["reply"] == written
    assert verdict.evidence["raw"] == 4.0
    assert verdict.score == pytest.approx(0.75)
    untaught = load_judge("unified-reward", tiny_vlm(tmp_path / "other"), (), settings)
    with pytest.raises(ValueError, match="failed on all of its first 2 images: the reply"):
        untaught.judge([PICTURE] * 2, [plain_text("rain")] * 2)


def teach(folder: Path, reply: str, question: str) -> str:
    """`reply` becomes one word, which the model writes first, and then its end."""
    processor = AutoProcessor.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    processor.tokenizer.add_tokens([reply])
    model.resize_token_embeddings(len(processor.tokenizer), mean_resizing=False)
    word, end = processor.tokenizer.convert_tokens_to_ids([reply, "<|im_end|>"])
    content = [{"type": "image"}, {"type": "text", "text": question}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    states = []
    for so_far in (text, text + reply):
        with torch.no_grad():
            inputs = processor(images=PICTURE, text=so_far, return_tensors="pt")
            output = model(**inputs, output_hidden_states=True)
        states.append(output.hidden_states[-1][0, -1])
    first, second = (state / state.norm() for state in states)
    with torch.no_grad():
        model.lm_head.weight[word] = 100 * (first - first @ second * second)
        model.lm_head.weight[end] = 100 * (second - second @ first * first)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return reply


@pytest.mark.parametrize(
    ("where", "settings", "says"),
    [
        ("http://127.0.0.1:1/v1", {"dtype": "float32"}, "setting dtype: has no effect on http:"),
        ("somewhere", {"model": "x"}, "setting model: has no effect on somewhere; take it out"),
        ("http://127.0.0.1:1/v1", {"key_env": "NO_KEY"}, "'unified-reward', setting key_env: the"),
        ("http://a:b@c/v1", {}, "has a password, a query or a fragment"),
    ],
)
def test_settings_of_the_other_way_are_refused(
    where: str, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        load_judge("unified-reward", where, (), {"unified-reward": settings})


@pytest.mark.parametrize(
    ("text", "says"),
    [(None, "cannot be read"), ("Rate it.", "has no {text_prompt}, where the prompt goes")],
)
def test_a_question_that_is_none_is_refused(tmp_path: Path, text: str | None, says: str) -> None:
    file = tmp_path / "question.txt"
    if text is not None:
        file.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=f"setting question: .*{says}"):
        load_judge("unified-reward", "somewhere", (), {"unified-reward": {"question": str(file)}})


def test_a_server_that_is_not_there_is_said_before_anything_is_loaded() -> None:
    with pytest.raises(ValueError, match=r"judge 'unified-reward=http://127.0.0.1:1/v1': "):
        check_judge_weights("unified-reward=http://127.0.0.1:1/v1", None, ())
