"""Judges of edits: who sees both pictures sees which is which; who cannot, the result alone."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scripted_server import Call, chat, scripted
from tiny_judges import tiny_vlm
from transformers import AutoModelForImageTextToText, AutoProcessor

from sipo.feedback.before_after import AFTER, BEFORE
from sipo.feedback.prompts.before import Before
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt, plain_text, prompt_of
from sipo.feedback.prompts.question import Question
from sipo.feedback.prompts.questions import atoms_of, first_tokens
from sipo.feedback.registry import load_judge
from sipo.feedback.remote import http_calls
from sipo.feedback.remote.score_replies import FlowFactory
from sipo.feedback.vlm import BRIEF


def noise(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (56, 40, 3), np.uint8)
    return Image.fromarray(pixels)


def edit_of(picture: Image.Image, text: str, *questions: str) -> Prompt:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    data = buffer.getvalue()
    asked = tuple(Question(id=str(n), text=one) for n, one in enumerate(questions))
    before = Before(hashlib.sha256(data).hexdigest(), data)
    return plain_text(text).model_copy(update={"before": before, "questions": asked})


ONE, OTHER = noise(1), noise(2)
EDIT = edit_of(ONE, "make it red", "Is the car red now?")


def pixels(part: dict[str, Any]) -> bytes:
    data = part["image_url"]["url"].removeprefix("data:image/png;base64,")
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB").tobytes()


def test_a_chat_is_sent_both_pictures_in_order_and_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_WAIT_S", 0.002)
    there = {"models": {"data": [{"id": "m"}]}}
    with scripted(lambda call: chat({"Yes": math.log(0.75)}), **there) as server:
        judge = load_judge(f"http={server.url}/v1", None, ())
        [verdict] = judge.judge([OTHER], [EDIT])
        last: Call = server.calls[-1]
    assert verdict.score == pytest.approx(0.75)
    first, before, second, after, question = last.body["messages"][0]["content"]
    assert (first["text"], second["text"]) == (BEFORE, AFTER)
    assert (pixels(before), pixels(after)) == (ONE.tobytes(), OTHER.tobytes())
    assert question["text"] == f"Is the car red now? {BRIEF}"


def test_a_model_here_is_shown_both_too(tmp_path: Path) -> None:
    folder = tiny_vlm(tmp_path / "vlm")
    judge = load_judge("vlm", folder, ())
    prompts = [EDIT, edit_of(OTHER, "make it red", "Is the car red now?"), plain_text("a")]
    prompts[2] = prompts[2].model_copy(update={"questions": EDIT.questions})
    verdicts = judge.judge([OTHER, ONE, OTHER], prompts)
    scores = [verdict.evidence["geometric"] for verdict in verdicts]
    assert len(set(scores)) == 3  # changed places, and the result alone, are other questions
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)
    content: list[dict[str, Any]] = [{"type": "text", "text": BEFORE}, {"type": "image"}]
    content += [{"type": "text", "text": AFTER}, {"type": "image"}]
    content += [{"type": "text", "text": f"Is the car red now? {BRIEF}"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    with torch.no_grad():
        output = model(**processor(images=[ONE, OTHER], text=text, return_tensors="pt"))
    likely = output.logits[0, -1].softmax(-1)
    expected = sum(float(likely[token]) for token in first_tokens(processor.tokenizer, "yes"))
    assert scores[0] == pytest.approx(expected, abs=1e-6)


def test_an_edit_in_plain_text_is_asked_whether_it_is_done_and_nothing_else() -> None:
    edit = EDIT.model_copy(update={"questions": ()})
    assert [one.text for one in atoms_of(edit)] == [
        'The edit that was asked for: "make it red". Does the image after the edit show it done?',
        'The edit that was asked for: "make it red". Is everything else as it was before the edit?',
    ]
    check_prompts("vlm", [edit], "edits.jsonl")
    with pytest.raises(ValueError, match="plain text names none"):
        check_prompts("vlm", [plain_text("make it red")], "edits.jsonl")


def test_a_served_judge_is_sent_the_picture_with_the_prompt() -> None:
    body = json.loads(json.dumps(FlowFactory(()).body([(OTHER, EDIT)])))
    [row] = body["extra"]["rows"]
    found = prompt_of(row, "rows[0]")
    assert found.before is not None
    assert found.before.picture().tobytes() == ONE.tobytes()


def test_a_judge_that_sees_one_picture_sees_the_result() -> None:
    judge = load_judge("fake", None, ())
    same = [judge.judge([OTHER], [prompt])[0].score for prompt in (EDIT, plain_text(EDIT.text))]
    assert same[0] == same[1]


def test_a_picture_that_is_not_there_is_said() -> None:
    known = EDIT.model_copy(update={"before": Before("0" * 64)})
    with pytest.raises(ValueError, match=r"the picture \(before\) sha256:000000000000 is not with"):
        known.before and known.before.picture()
