"""A judge of ours behind a URL says what it says in process, and nothing that is sent harms it."""

from __future__ import annotations

import base64
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from threading import Lock, Thread, Timer
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.datagen.cli import main
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import plain_text
from sipo.feedback.registry import load_judge
from sipo.feedback.remote import http_calls, judge_server, judge_service
from sipo.feedback.remote.judge_server import JudgeServer
from sipo.feedback.remote.judge_service import JudgeService

CAT = grammar.single_object("cat")
IMAGE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))
LOW = {"mini-evaluator": {"thresholds": dict.fromkeys(("single_object", "color_attr"), 0.01)}}


def png(image: Image.Image = IMAGE) -> str:
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@contextmanager
def serving(service: JudgeService, key: str | None = None) -> Iterator[JudgeServer]:
    with JudgeServer(service, 0, key=key) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def fake() -> Iterator[JudgeServer]:
    with serving(JudgeService("fake")) as server:
        yield server


@pytest.fixture(scope="module")
def evaluator() -> Iterator[JudgeServer]:
    with serving(JudgeService("mini-evaluator", settings=LOW)) as server:
        yield server


def ask(
    server: JudgeServer, body: Any, path: str = "/compute", method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any]]:
    connection = HTTPConnection(*server.server_address[:2], timeout=5)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"Content-Type": "application/json"}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, data, given)
    reply = connection.getresponse()
    said = reply.status, json.loads(reply.read())
    connection.close()
    return said


def test_over_http_it_says_what_it_says_in_process(evaluator: JudgeServer) -> None:
    rng = np.random.default_rng(1)
    images = [Image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)) for _ in range(7)]
    prompts = [grammar.counting("dog", 2), grammar.color_attr("cat", "red", "dog", "blue")]
    prompts += [CAT] * 5
    here = load_judge("mini-evaluator", None, ("cat", "dog"), LOW)
    there = load_judge("http", Path(evaluator.url), ("cat", "dog"), {"http": {"threads": 2}})
    described = there.describe()
    assert described["judge"] == here.describe()
    assert (described["id"], described["url"]) == ("http", evaluator.url)
    mine, theirs = (one.judge(images, prompts) for one in (here, there))
    assert any(verdict.boxes for verdict in mine)
    assert any(verdict.complaints for verdict in mine)
    for a, b in zip(mine, theirs, strict=True):
        assert b.judge == described
        assert a.model_copy(update={"judge": {}}) == b.model_copy(update={"judge": {}})


def test_flow_factorys_request_has_rewards_and_ours_has_reasons(fake: JudgeServer) -> None:
    status, said = ask(fake, {"prompts": ["rain", "snow"], "images": [png()] * 2, "extra": {}})
    expected = FakeJudge().judge([IMAGE] * 2, [plain_text("rain"), plain_text("snow")])
    assert status == 200
    assert said["rewards"] == [verdict.score for verdict in expected]
    assert said["judge"] == {"id": "fake"}
    for row, verdict in zip(said["verdicts"], expected, strict=True):
        assert (row["correct"], row["reason"]) == (verdict.correct, verdict.reason)
        assert len(row["complaints"]) == len(verdict.complaints)
    health = ask(fake, b"", "/health", "GET")
    assert health[1].items() >= {"status": "ok", "serves": "sipo judge"}.items()
    assert (health[1]["judge"], health[1]["rewards"]) == ({"id": "fake"}, {"sipo": ["score"]})


def test_unirls_request_has_the_same_scores(evaluator: JudgeServer) -> None:
    prompts = [CAT, grammar.counting("dog", 2)]
    here = load_judge("mini-evaluator", None, ("cat", "dog"), LOW).judge([IMAGE] * 2, prompts)
    there = load_judge("http", f"{evaluator.url}/score", ("cat", "dog"))
    theirs = there.judge([IMAGE] * 2, prompts)
    assert [verdict.score for verdict in theirs] == [verdict.score for verdict in here]
    turn = {"text": "rain", "image_b64": png()}
    item = {"history": [turn], "required_rewards": ["hps"], "request_id": "a"}
    status, said = ask(evaluator, {"requests": [item]}, "/score")
    assert (status, said["error"]) == (
        422,
        "requests[0] asks for ['hps']; the one reward here is 'sipo'",
    )
    known = {**item, "required_rewards": ["sipo"], "metadata": CAT.to_row()}
    said = ask(evaluator, {"requests": [known]}, "/score")[1]
    assert (said["errors"], said["identities"][0]["request_id"]) == ([{}], "a")


def test_a_prompt_is_known_by_its_text(evaluator: JudgeServer) -> None:
    body = {"prompts": ["a photo of a cat"], "images": [png()]}
    status, said = ask(evaluator, body)
    assert status == 422
    assert "looks for the objects of a prompt, and plain text names none" in said["error"]
    row = ask(evaluator, {**body, "prompts": [CAT.to_row()]})
    with serving(JudgeService("mini-evaluator", settings=LOW, prompts=[CAT])) as server:
        assert ask(server, body) == row
        dog = {**body, "prompts": [grammar.single_object("dog").to_row()]}
        status, said = ask(server, dog)
    assert (row[0], status) == (200, 422)
    assert said["error"].startswith("class 'dog' is not in the vocabulary that the judge looks for")


@pytest.mark.parametrize(
    ("image", "cause"),
    [
        ("", "empty picture"),
        ("%%%", "image is no base64 text"),
        ("AAA", "image is no base64 text"),
        (5, "image is no base64 text"),
        (base64.b64encode(b"GIF89a").decode(), "not a JPEG, PNG or WebP"),
        (png()[:120], "damaged picture"),
    ],
)
def test_what_is_no_image_fails_alone(fake: JudgeServer, image: Any, cause: str) -> None:
    images = [png(), image, f"data:image/png;base64,{png()}"]
    status, said = ask(fake, {"prompts": ["rain"] * 3, "images": images})
    first, none, last = said["rewards"]
    assert (status, none) == (200, None)
    assert first == last == FakeJudge().judge([IMAGE], [plain_text("rain")])[0].score
    assert [row["failure"] for row in said["verdicts"]] in ([None, cause, None],)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"{", "request: not JSON"),
        (b"\xff", "decode"),
        ([], "the request is no JSON object"),
        ({"prompts": ["x"]}, "images is no list of 1 to 256"),
        ({"prompts": [], "images": []}, "images is no list of 1 to 256"),
        ({"prompts": ["x"] * 2, "images": ["x"]}, "2 prompts for 1 images; send one prompt each"),
        ({"prompts": ["x"] * 300, "images": ["x"] * 300}, "images is no list of 1 to 256"),
        ({"prompts": [""], "images": ["x"]}, "prompts[0]: prompt: "),
        ({"prompts": [{"tag": "moon"}], "images": ["x"]}, "prompts[0]: "),
        ({"prompts": ["x"], "images": ["x"], "extra": [1]}, "extra is no JSON object"),
        ({"prompts": ["x"], "images": ["x"], "extra": {"rows": 1}}, "rows is no list"),
        ({"prompts": ["x"], "images": ["x"], "extra": {"vocabulary": [""]}}, "vocabulary is no"),
        ({"prompts": ["x"], "videos": [["x"]]}, "videos are not judged here; send frames"),
    ],
)
def test_a_request_that_is_none(fake: JudgeServer, body: Any, says: str) -> None:
    status, said = ask(fake, body)
    assert status == 422
    assert says in said["error"]
    assert len(said["error"]) < 400


def test_what_is_refused_unread(fake: JudgeServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_server, "MOST_BYTES", 100_000)
    assert ask(fake, b"x" * 300_000)[0] == 413
    assert ask(fake, {}, Content_Type="text/plain")[0] == 415
    assert ask(fake, {}, Content_Length="many")[0] == 411
    assert ask(fake, {}, "/other")[0] == 404
    assert ask(fake, b"", "/compute", "GET")[0] == 404


def test_who_has_no_key_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    body = {"prompts": ["rain"], "images": [png()]}
    with serving(JudgeService("fake"), key="secret") as server:
        assert ask(server, body)[0] == 401
        assert ask(server, body, Authorization="Bearer secrets")[0] == 401
        assert ask(server, body, Authorization="Bearer secret")[0] == 200
        monkeypatch.setenv("JUDGE_KEY", "secret")
        judge = load_judge("http", server.url, (), {"http": {"key_env": "JUDGE_KEY"}})
        assert not judge.judge([IMAGE], [CAT])[0].failed
        with pytest.raises(ValueError, match="401 Unauthorized; put its key into"):
            load_judge("http", server.url, ()).judge([IMAGE], [CAT])


def test_one_judge_looks_at_a_time_and_too_many_come_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock = Lock()

    class Alone(FakeJudge):
        def judge(self, images: Any, prompts: Any) -> Any:
            assert lock.acquire(blocking=False)
            try:
                return super().judge(images, prompts)
            finally:
                lock.release()

    monkeypatch.setattr(judge_server, "AT_ONCE", 2)
    monkeypatch.setattr(http_calls, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(judge_service, "load_judge", lambda *_: Alone())
    with serving(JudgeService("fake")) as server:
        asked = {"http": {"batch": 1, "threads": 8, "tries": 20}}
        verdicts = load_judge("http", server.url, (), asked).judge([IMAGE] * 24, [CAT] * 24)
    assert not any(verdict.failed for verdict in verdicts)


def test_a_judge_that_breaks_is_said_on_both_sides(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    class Broken(FakeJudge):
        def judge(self, images: Any, prompts: Any) -> Any:
            raise RuntimeError("the card is gone")

    monkeypatch.setattr(judge_service, "load_judge", lambda *_: Broken())
    with serving(JudgeService("fake")) as server:
        status, said = ask(server, {"prompts": ["rain"], "images": [png()]})
    assert (status, said) == (500, {"error": "the judge failed (RuntimeError)"})
    assert "the card is gone" in capfd.readouterr().err


def test_another_judge_behind_the_same_url_ends_the_command(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(JudgeService("fake")) as server:
        judge = load_judge("http", server.url, ())
        judge.judge([IMAGE], [CAT])
        server.service = JudgeService("mini-evaluator", settings=LOW)
        with pytest.raises(ValueError, match="is another one than when this command began"):
            judge.judge([IMAGE], [CAT])


def test_settings_that_the_served_judge_has_itself(fake: JudgeServer) -> None:
    for settings in ({"least": 0.3}, {"low": 0, "high": 2}):
        with pytest.raises(ValueError, match="has no effect on the judge that sipo serves at"):
            load_judge("http", fake.url, (), {"http": settings})


def test_the_command_says_where_and_how_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()
    done = CliRunner().invoke(main, ["serve-judge", "fake", "--port", "0"])
    assert done.exit_code == 0, done.output
    assert "Judge fake answers at http://127.0.0.1:" in done.output
    assert "curl -s http://127.0.0.1:" in done.output
    assert "Next: sipo-data generate --judge http=http://127.0.0.1:" in done.output
    assert "stopped; 0 images judged in 0 requests" in done.output


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nobody"], "--judge 'nobody' is unknown"),
        (["fake", "--port", "70000"], "--port 70000"),
        (["fake", "--host", "256.0.0.1"], "--host 256.0.0.1 with --port 8000 cannot be used"),
        (["fake", "--key-env", "NO_KEY"], "--key-env: the environment has no 'NO_KEY'"),
        (["fake", "--prompts", "nowhere.jsonl"], "nowhere.jsonl"),
        (["fake,fake", "--judge-settings", "FILE"], "'majority' compares the images of a prompt"),
        (["owlv2", "--judge-weights", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_served(words: list[str], says: str, tmp_path: Path) -> None:
    file = tmp_path / "judge.json"
    file.write_text('{"ensemble": {"rule": "majority"}}')
    done = CliRunner().invoke(
        main, ["serve-judge", *(str(file) if word == "FILE" else word for word in words)]
    )
    assert done.exit_code == 2
    assert says in done.output
    assert done.output.count("\n") == 1
