"""A judge behind a URL: what it is sent, and what becomes of every way to answer it."""

from __future__ import annotations

import base64
import io
import json
import math
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scripted_server import Call, Said, ScriptedServer, asked, chat, scripted
from tiny_judges import tiny_vlm
from transformers import AutoModelForImageTextToText, AutoProcessor

from sipo.feedback.judge import Judge
from sipo.feedback.judge_urls import checked_url, is_here, protocol_of
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import Prompt, plain_text
from sipo.feedback.registry import load_judge
from sipo.feedback.remote import http_calls
from sipo.feedback.remote.chat_replies import chance_by_tokens, says
from sipo.feedback.rule.verdict import Verdict

KEY = "sk-a-key-that-must-not-leak"
CAT, TWO = grammar.single_object("cat"), grammar.counting("cat", 2)
RED, BLUE = (Image.new("RGB", (8, 8), color) for color in ("red", "blue"))
SURE = {"Yes": math.log(0.75), " yes": math.log(0.125), "No": math.log(0.125)}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_calls, "FIRST_WAIT_S", 0.002)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


def chat_judge(server: ScriptedServer, **settings: Any) -> Judge:
    return load_judge(f"http={server.url}/v1", None, ("cat",), {"http": settings})


def score_judge(server: ScriptedServer, **settings: Any) -> Judge:
    return load_judge(f"http={server.url}", None, ("cat",), {"http": settings})


def after_the_probe(script: Callable[[Call], Said]) -> Callable[[Call], Said]:
    """The first question is about a white image, and is answered."""
    return lambda call: chat(SURE) if call.number == 0 else script(call)


def models(*names: str) -> dict[str, Any]:
    return {"models": {"data": [{"id": name} for name in names]}}


def judged(judge: Judge, *asked_of: tuple[Image.Image, Prompt]) -> list[Verdict]:
    return judge.judge([image for image, _ in asked_of], [prompt for _, prompt in asked_of])


def test_a_chat_is_asked_clause_by_clause_and_counts_by_probability() -> None:
    def script(call: Call) -> Said:
        return chat({"2": math.log(0.5), "Two": math.log(0.25)} if "many" in asked(call) else SURE)

    with scripted(after_the_probe(script), **models("qwen")) as server:
        judge = chat_judge(server, mean="arithmetic")
        (verdict,) = judged(judge, (RED, TWO))
        _, one, two = server.calls
    assert verdict.score == pytest.approx((0.875 + 0.75) / 2)
    assert verdict.correct
    assert sorted(map(asked, (one, two))) == [
        "Does the image show any cats? Answer in one word.",
        "How many cats does the image show? Answer in one word.",
    ]
    assert one.path == "/v1/chat/completions"
    assert (one.body["model"], one.body["temperature"]) == ("qwen", 0)
    assert (one.body["logprobs"], one.body["top_logprobs"]) == (True, 20)
    url = one.body["messages"][0]["content"][0]["image_url"]["url"]
    shown = Image.open(io.BytesIO(base64.b64decode(url.removeprefix("data:image/png;base64,"))))
    assert shown.convert("RGB").tobytes() == RED.tobytes()
    assert one.headers["Authorization"] == f"Bearer {KEY}"
    assert judge.describe() == {
        "id": "http",
        "protocol": "openai",
        "url": f"{server.url}/v1",
        "model": "qwen",
        "answers": "logprobs",
        "mean": "arithmetic",
        "least": 0.5,
        "questions": {"of": "prompt", "wording": 1},
    }


def test_without_log_probabilities_the_answered_text_counts() -> None:
    with scripted(lambda call: chat(text="**Two** of them"), **models("m")) as server:
        with pytest.raises(ValueError, match=r"gets no answer of 'm' at .* log-probabilities"):
            chat_judge(server, answers="logprobs")
        judge = chat_judge(server)
        (verdict,) = judged(judge, (RED, TWO))
    assert judge.describe()["answers"] == "text"
    assert "logprobs" not in server.calls[-1].body
    assert (verdict.evidence["arithmetic"], verdict.correct) == (0.5, False)
    assert [str(one) for one in verdict.complaints] == ["Does the image show any cats? yes: 0.00"]


def test_a_server_that_refuses_to_give_log_probabilities() -> None:
    def script(call: Call) -> Said:
        if "logprobs" in call.body:
            return Said({"error": {"message": "no logprobs with this model"}}, 400)
        return chat(text="yes")

    with scripted(script) as server:
        judge = chat_judge(server, model="o", request={"max_tokens": None, "top_k": 1})
        assert judged(judge, (RED, CAT))[0].score == 1
    assert judge.describe()["answers"] == "text"
    assert judge.describe()["request"] == {"max_tokens": None, "top_k": 1}
    assert "max_tokens" not in server.calls[-1].body
    assert server.calls[-1].body["top_k"] == 1


def test_a_model_behind_a_url_has_the_scores_that_it_has_as_vlm(tmp_path: Path) -> None:
    """By all of its tokens, where real servers show the 20 likeliest."""
    folder = tiny_vlm(tmp_path / "vlm")
    model = AutoModelForImageTextToText.from_pretrained(folder).eval()
    processor = AutoProcessor.from_pretrained(folder)

    def script(call: Call) -> Said:
        (image, text) = call.body["messages"][0]["content"]
        data = base64.b64decode(image["image_url"]["url"].partition(",")[2])
        shown = {"type": "image", "image": Image.open(io.BytesIO(data)).convert("RGB")}
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": [shown, text]}],
            **{"tokenize": True, "add_generation_prompt": True},
            **{"return_dict": True, "return_tensors": "pt"},
        )
        with lock, torch.no_grad():
            likely = model(**inputs).logits[0, -1].log_softmax(-1).tolist()
        names = [processor.tokenizer.decode([token]) for token in range(len(likely))]
        rows = [{"token": t, "logprob": p} for t, p in zip(names, likely, strict=True)]
        return Said({"choices": [{"logprobs": {"content": [{"top_logprobs": rows}]}}]})

    lock, noise = Lock(), np.random.default_rng(0).integers(0, 256, (56, 56, 3), np.uint8)
    asked_of = [(Image.fromarray(noise), prompt) for prompt in (CAT, TWO)]
    with scripted(script) as server:
        there = judged(chat_judge(server, model="tiny", least=0.001), *asked_of)
    here = judged(load_judge("vlm", folder, (), {"vlm": {"least": 0.001}}), *asked_of)
    for mine, theirs in zip(here, there, strict=True):
        assert mine.score is not None
        assert theirs.score == pytest.approx(mine.score, abs=1e-6)
        assert (theirs.correct, len(theirs.complaints)) == (mine.correct, len(mine.complaints))
        assert theirs.evidence.keys() == mine.evidence.keys()


@pytest.mark.parametrize(
    ("first", "answer", "chance"),
    [
        ({"Yes": 0.5, " yes": 0.25, "yes!": 0.1, "\u0120Yes": 0.05}, "yes", 0.8),
        ({"No": 0.9, "no": 0.05}, "yes", 0.0),
        ({"2": 0.5, "two": 0.25, " 2": 0.05, "t": 0.1}, "two", 0.8),
        ({"pl": 0.5, "p": 0.25, "Pl": 0.2}, "plastic", 0.5),
        ({" ": 0.9, "": 0.05}, "yes", 0.0),
    ],
)
def test_first_tokens(first: dict[str, float], answer: str, chance: float) -> None:
    spoken = [(token.replace("\u0120", " "), value) for token, value in first.items()]
    assert chance_by_tokens(spoken, answer) == pytest.approx(chance)


@pytest.mark.parametrize(
    ("text", "answer", "right"),
    [
        ("Yes.", "yes", True),
        (" yes, it does", "yes", True),
        ("Yesterday", "yes", False),
        ("No, yes", "yes", False),
        ("2", "two", True),
        ("20", "two", False),
        ("Twofold", "two", False),
    ],
)
def test_words(text: str, answer: str, right: bool) -> None:
    assert says(text, answer) == right


def test_several_calls_run_at_a_time_and_keep_their_order() -> None:
    now, most, lock = [0], [0], Lock()

    def script(call: Call) -> Said:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.03)
        with lock:
            now[0] -= 1
        data = base64.b64decode(call.body["images"][0])
        pixel = Image.open(io.BytesIO(data)).convert("RGB").getpixel((0, 0))
        return Said({"rewards": [pixel[0] / 255]})

    images = [Image.new("RGB", (4, 4), (value, 0, 0)) for value in range(8)]
    with scripted(script) as server:
        verdicts = score_judge(server, threads=4, batch=1).judge(images, [CAT] * 8)
    assert [v.score for v in verdicts] == [value / 255 for value in range(8)]
    assert 2 <= most[0] <= 4


def test_a_service_gets_texts_and_images_and_gives_scores() -> None:
    with scripted(lambda call: Said({"rewards": [0.25, 0.75]}), health={"status": "ok"}) as server:
        judge = score_judge(server)
        low, high = judged(judge, (RED, plain_text("rain")), (BLUE, CAT))
    (call,) = server.calls
    assert (call.path, sorted(call.body)) == ("/compute", ["images", "prompts"])
    assert call.body["prompts"] == ["rain", "a photo of a cat"]
    assert (low.score, low.correct, high.score, high.correct) == (0.25, False, 0.75, True)
    assert [str(one) for one in low.complaints] == ["http 0.25 < 0.5"]
    assert (high.complaints, high.evidence) == ((), {"raw": 0.75})
    assert judge.describe() == {
        **{"id": "http", "protocol": "flow-factory", "url": server.url},
        **{"least": 0.5, "scale": None},
    }
    assert "Authorization" not in call.headers  # OpenAI's key is none of this server's


def test_scores_of_other_ranges() -> None:
    with scripted(lambda call: Said({"scores": [21.0, 9.0]})) as server:
        judge = score_judge(server, low=1, high=11)
        assert [v.score for v in judged(judge, (RED, CAT), (BLUE, CAT))] == [1.0, 0.8]
        preferred = score_judge(server, center=21, slope=1)
        assert judged(preferred, (RED, CAT), (BLUE, CAT))[0].score == 0.5
        with pytest.raises(ValueError, match=r"gave the score 21; say its range by .* low and hi"):
            judged(score_judge(server), (RED, CAT), (BLUE, CAT))


def test_unirls_rewards_by_name() -> None:
    def script(call: Call) -> Said:
        results = [{"hps": {"v2": 0.75, "v1": 0.1}}, {}]
        return Said({"protocol_version": "1", "results": results, "errors": [{}, {"hps": "dark"}]})

    with scripted(script, health={"status": "ok", "rewards": {"hps": ["v2", "v1"]}}) as server:
        judge = load_judge("http", f"{server.url}/score", ("cat",))
        good, dark = judged(judge, (RED, CAT), (BLUE, plain_text("rain")))
    assert (good.score, dark.failure) == (0.75, "the service says: dark")
    (call,) = server.calls
    first, second = call.body["requests"]
    assert (call.path, first["required_rewards"]) == ("/score", ["hps"])
    assert (second["history"][0]["text"], first["metadata"]) == ("rain", CAT.to_row())
    assert judge.describe() == {
        **{"id": "http", "protocol": "unirl", "reward": "hps", "url": server.url},
        **{"least": 0.5, "scale": None},
    }
    says = "has the rewards a, b; name one in the setting reward"
    several = scripted(script, health={"rewards": {"a": [], "b": []}})
    with several as server, pytest.raises(ValueError, match=says):
        load_judge("http", f"{server.url}/score", ())


def refusing(said: Said) -> Callable[[Call], Said]:
    """One that answers for blue images, and `said` for requests with a red one in them."""

    def script(call: Call) -> Said:
        images = [Image.open(io.BytesIO(base64.b64decode(one))) for one in call.body["images"]]
        red = any(image.convert("RGB").getpixel((0, 0)) == (255, 0, 0) for image in images)
        return said if red else Said({"rewards": [0.75] * len(images)})

    return script


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (Said(raw=b"<html>busy</html>"), "reply: not JSON"),
        (Said(raw=b'{"rewards": [NaN]}'), "reply: NaN is no finite number"),
        (Said(raw=b'{"rewards": [1e999]}'), "reply: 1e999 is no finite number"),
        (Said({"rewards": [0.5] * 9}), "the reply has 9 rewards for 1 images"),
        (Said({"rewards": "good"}), "the reply has no list of rewards"),
        (Said([0.5]), "the reply has no list of rewards"),
        (Said({"rewards": [True]}), "the reply has a reward that is no number"),
        (Said({"rewards": [None]}), "the service gave no score"),
        (Said({"detail": "too dark"}, 422), "422 Unprocessable.*: too dark"),
        (Said({"error": "boom"}, 500), "no answer in 2 tries: 500 Internal Server Error"),
    ],
)
def test_what_no_score_is_fails_that_image_alone(said: Said, cause: str) -> None:
    with scripted(refusing(said)) as server:
        judge = score_judge(server, tries=2)
        assert judged(judge, (BLUE, CAT))[0].score == 0.75
        first, failed, last = judged(judge, (BLUE, CAT), (RED, CAT), (BLUE, CAT))
    assert (first.score, last.score) == (0.75, 0.75)
    assert (failed.score, failed.correct) == (None, False)
    assert failed.failure is not None
    assert failed.failure.startswith(cause.split(".*")[0]), failed.failure
    assert failed.failure.endswith(cause.split(".*")[-1]) or "not JSON" in cause


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (Said({"choices": []}), "the reply is no chat completion"),
        (Said({"choices": [{"message": {}}]}), "the reply has no log-probabilities"),
        (chat(text="yes"), "the reply has no log-probabilities"),
        (chat({"Yes": "high"}), "the reply has no log-probabilities"),  # type: ignore[dict-item]
        (Said(raw=b"no"), "reply: not JSON (Expecting value at column 1)"),
    ],
)
def test_an_answer_that_is_none_is_no_zero(said: Said, cause: str) -> None:
    def script(call: Call) -> Said:
        return said if "many" in asked(call) else chat(SURE)

    with scripted(after_the_probe(script), **models("m")) as server:
        judge = chat_judge(server)
        right, failed = judged(judge, (RED, CAT), (RED, TWO))
    assert right.score == pytest.approx(0.875)
    assert (failed.score, failed.failure) == (None, cause)


@pytest.mark.parametrize("status", [0, 429, 500, 503])
def test_what_passes_is_tried_again(status: int) -> None:
    def script(call: Call) -> Said:
        return Said(status=status) if call.number < 2 else Said({"rewards": [0.5]})

    with scripted(script) as server:
        assert judged(score_judge(server), (RED, CAT))[0].score == 0.5
    assert len(server.calls) == 3


@pytest.mark.parametrize("date", [False, True])
def test_retry_after_is_heeded(date: bool) -> None:
    came: list[float] = []

    def script(call: Call) -> Said:
        came.append(time.time())
        asked_for = formatdate(time.time() + 1.2, usegmt=True) if date else "0.3"
        if call.number == 0:
            return Said(status=429, headers=(("Retry-After", asked_for),))
        return Said({"rewards": [0.5]})

    with scripted(script) as server:
        assert judged(score_judge(server), (RED, CAT))[0].score == 0.5
    assert came[1] - came[0] >= (0.1 if date else 0.3)  # a date has whole seconds


def test_a_server_that_asks_for_hours_is_not_waited_for() -> None:
    said = Said(status=429, headers=(("Retry-After", "3600"),))
    with scripted(refusing(said)) as server:
        judge = score_judge(server)
        judged(judge, (BLUE, CAT))
        (failed,) = judged(judge, (RED, CAT))
    assert failed.failure == "429 Too Many Requests, which asks to wait for more than 120 s"


def test_a_server_that_is_slow_or_sends_drop_by_drop() -> None:
    def script(call: Call) -> Said:
        time.sleep(0.4 * (call.number > 0))
        return Said({"rewards": [0.5]})

    with scripted(script) as server:
        judge = score_judge(server, timeout_s=0.2, tries=2)
        judged(judge, (RED, CAT))
        (failed,) = judged(judge, (RED, CAT))
    assert failed.failure == "no answer in 2 tries: timed out after 0.2 s"
    assert len(server.calls) == 3


def test_a_server_that_goes_away() -> None:
    def script(call: Call) -> Said:
        return Said({"rewards": [0.5]}) if call.number == 0 else Said(status=0)

    with scripted(script) as server:
        judge = score_judge(server, tries=2)
        judged(judge, (RED, CAT))
        (failed,) = judged(judge, (RED, CAT))
    assert failed.failure == "no answer in 2 tries: connection broke (RemoteProtocolError)"
    for load in (chat_judge, score_judge):
        with pytest.raises(ValueError, match=r"no answer in 1 tries: cannot connect"):
            load(server, tries=1)


def test_a_budget_of_calls_and_one_of_failures() -> None:
    with scripted(lambda call: Said({"rewards": [0.5]})) as server:
        judge = score_judge(server, most_calls=3)  # one asks after its health
        for _ in range(2):
            judged(judge, (RED, CAT))
        with pytest.raises(ValueError, match=r"was called 3 times, its setting most_calls; .*same"):
            judged(judge, (RED, CAT))
    with scripted(refusing(Said(status=500))) as server:
        judge = score_judge(server, tries=1, most_failures=2)
        judged(judge, (BLUE, CAT))
        assert sum(v.failed for v in judged(judge, (RED, CAT), (RED, CAT))) == 2
        with pytest.raises(ValueError, match=r"has failed on 3 images, and its setting most_fail"):
            judged(judge, (RED, CAT))


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "401 Unauthorized; put its key into the environment variable"),
        (403, "403 Forbidden; put its key"),
        (404, "404 Not Found; look at its URL"),
        (307, "307 Temporary Redirect; give the address that it points to"),
    ],
)
def test_what_no_image_causes_ends_the_command(status: int, says: str) -> None:
    said = Said({"error": f"key {KEY}"}, status, (("Location", "http://127.0.0.1:9/"),))
    with scripted(lambda call: said) as server, pytest.raises(ValueError) as error:
        judged(score_judge(server), (RED, CAT))
    assert says in str(error.value)
    assert KEY not in str(error.value)


def test_the_key_is_repeated_by_nobody() -> None:
    """Not even where the server says it."""

    def script(call: Call) -> Said:
        return Said({"error": {"message": f"odd: {call.headers['Authorization']}"}}, 400)

    with scripted(after_the_probe(script), **models("m")) as server:
        judge = chat_judge(server)
        with pytest.raises(ValueError) as error:
            judged(judge, (RED, CAT), (BLUE, CAT))
    assert "400 Bad Request: odd: Bearer ***" in str(error.value)
    assert KEY not in str(error.value) + json.dumps(judge.describe()) + repr(vars(judge))


def test_which_key_goes_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER_KEY", " other ")
    with scripted(lambda call: Said({"rewards": [0.5]})) as server:
        judged(score_judge(server, key_env="OTHER_KEY"), (RED, CAT))
        assert server.calls[0].headers["Authorization"] == "Bearer other"
        with pytest.raises(ValueError, match="setting key_env: the environment has no 'NO_KEY'"):
            score_judge(server, key_env="NO_KEY")
        monkeypatch.setenv("OTHER_KEY", "two\nlines")
        with pytest.raises(ValueError, match="'OTHER_KEY' is no key") as error:
            score_judge(server, key_env="OTHER_KEY")
        assert "lines" not in str(error.value).replace("OTHER_KEY", "")


@pytest.mark.parametrize(
    ("url", "whole", "protocol"),
    [
        ("http://host:8000/v1", "http://host:8000/v1", "openai"),
        ("https://api.openai.com/v1/", "https://api.openai.com/v1", "openai"),
        ("http:/host:8000", "http://host:8000", "flow-factory"),  # as pathlib has it
        ("http://[::1]:80/score", "http://[::1]:80/score", "unirl"),
    ],
)
def test_urls(url: str, whole: str, protocol: str) -> None:
    assert checked_url(url) == whole
    assert protocol_of(whole) == protocol
    assert is_here(whole) == ("::1" in url)


@pytest.mark.parametrize(
    "url", ["http://", "ftp://host", "host:8000", "http://host:x", "http://a b"]
)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(ValueError, match="give a URL like"):
        load_judge(f"http={url}", None, ())


@pytest.mark.parametrize("url", ["http://me:pw@host", "http://host?key=pw", "http://host#pw"])
def test_a_url_with_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ValueError, match="has a password, a query or a fragment") as error:
        load_judge(f"http={url}", None, ())
    assert "pw" not in str(error.value).replace("password", "")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({}, "has no URL; write --judge http=URL"),
        ({"url": "http://127.0.0.1:9", "model": "m"}, "setting model: has no effect on protocol"),
        ({"url": "http://127.0.0.1:9", "reward": "m"}, "setting reward: has no effect on proto"),
        ({"url": "http://127.0.0.1:9/v1", "low": 0.0}, "setting low: has no effect on protocol"),
        ({"url": "http://127.0.0.1:9", "low": 0.0}, "give both of low and high"),
        ({"url": "http://127.0.0.1:9", "low": 1, "high": 1}, "low: 1 is not under high, 1"),
        ({"url": "http://127.0.0.1:9", "threads": 0}, "setting threads: .*greater than or equal"),
        ({"url": "http://127.0.0.1:9", "protocol": "grpc"}, "setting protocol: "),
        ({"timeout": 3}, "no setting 'timeout'; did you mean timeout_s?"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_judge("http", None, ("cat",), {"http": settings})


def test_a_url_alone_and_two_of_them() -> None:
    with pytest.raises(ValueError, match="--judge is a URL alone; write --judge http=URL"):
        load_judge("http://127.0.0.1:9", None, ())
    with pytest.raises(
        ValueError, match=r"has two URLs, http://127.0.0.1:8 and http://127.0.0.1:9"
    ):
        load_judge("http=http://127.0.0.1:9", None, (), {"http": {"url": "http://127.0.0.1:8"}})


def test_a_server_of_several_models_wants_one_named() -> None:
    with scripted(lambda call: chat(SURE), **models("a", "b")) as server:
        with pytest.raises(ValueError, match=r"has 2 models \('a', 'b'\); name one in the setting"):
            chat_judge(server)
        assert chat_judge(server, model="b").describe()["model"] == "b"


def test_plain_text_for_questions_is_said_early(tmp_path: Path) -> None:
    prompts = [plain_text("rain")]
    with pytest.raises(ValueError, match="--judge 'http' asks about the objects of a prompt"):
        check_prompts("http=http://127.0.0.1:9/v1", prompts, "list.txt")
    check_prompts("http=http://127.0.0.1:9", prompts, "list.txt")
    rows = tmp_path / "questions.jsonl"
    rows.write_text(json.dumps({"prompt": "rain", "vqa_list": [["Rain?", "yes"]]}))
    settings = {"http": {"questions": str(rows)}}
    check_prompts("http=http://127.0.0.1:9/v1", prompts, "list.txt", settings)
    with scripted(lambda call: chat(SURE), **models("m")) as server:
        judge = chat_judge(server, questions=str(rows))
        assert judged(judge, (RED, prompts[0]))[0].score == pytest.approx(0.875)
    described: Any = judge.describe()["questions"]
    assert (described["of"], len(described["sha256"])) == ("file", 64)
