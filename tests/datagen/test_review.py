"""Keep, flip, drop: what people say of pairs, and that training heeds it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from threading import Thread

import pytest
import torch
from browser import Browser, find_chromium
from click.testing import CliRunner

from sipo.datagen.cli import main
from sipo.datagen.dataset import PairDataset
from sipo.datagen.folder import open_folder
from sipo.datagen.generate import pair_folder
from sipo.datagen.review import REVIEW, ReviewSession
from sipo.datagen.summary import summarize, summary_lines
from sipo.feedback.web import Server

PROGRAM = find_chromium()


@pytest.fixture
def session(shards: Path) -> ReviewSession:
    return ReviewSession(shards, "ann")


def test_pairs_are_shown_with_the_judges_reason(session: ReviewSession, shards: Path) -> None:
    shown = session.describe()
    assert shown["mode"] == "decide"
    assert len(shown["tasks"]) == len(PairDataset(shards))
    winner, loser = shown["tasks"][0]["items"]
    assert (winner["label"], loser["label"]) == ("winner", "loser")
    assert float(winner["note"].split(",")[0]) > float(loser["note"].split(",")[0])
    content, kind = session.content(0, 1)
    assert (content[:4], kind) == (b"\x89PNG", "image/png")
    assert content != session.content(0, 0)[0]
    with pytest.raises(ValueError, match="answer 'burn' is no decision; give keep, flip, drop"):
        session.answer(0, "burn")


def test_training_heeds_decisions(session: ReviewSession, shards: Path) -> None:
    before = PairDataset(shards)
    for task, decision in enumerate(("drop", "flip", "keep")):
        session.answer(task, decision)
    after = PairDataset(shards)
    assert len(after) == len(before) - 1
    flipped, turned = before[1], after[0]
    assert torch.equal(turned.winner, flipped.loser)
    assert torch.equal(turned.loser, flipped.winner)
    assert turned.key == flipped.key + "-flipped"
    assert turned.margin == flipped.margin
    for mine, theirs in ((after[1], before[2]), (after[-1], before[-1])):
        assert mine.key == theirs.key
        assert torch.equal(mine.winner, theirs.winner)
    assert after.review["drop"] == after.review["flip"] == after.review["keep"] == 1


def test_a_change_of_the_data_is_a_change_of_the_fingerprint(
    session: ReviewSession, shards: Path, tmp_path: Path
) -> None:
    plain = PairDataset(shards).fingerprint()
    session.answer(0, "keep")
    assert PairDataset(shards).fingerprint() == plain
    session.answer(0, "drop")
    dropped = PairDataset(shards).fingerprint()
    session.answer(0, "flip")
    assert len({plain, dropped, PairDataset(shards).fingerprint()}) == 3
    session.answer(0, "drop")
    moved = PairDataset(shutil.copytree(shards, tmp_path / "moved"))
    assert moved.fingerprint() == dropped
    session.answer(0, "keep")
    assert PairDataset(shards).fingerprint() == plain


def test_the_summary_counts_decisions(session: ReviewSession, shards: Path) -> None:
    assert "review" not in summarize(open_folder(shards))
    for task, decision in enumerate(("drop", "flip", "keep")):
        session.answer(task, decision)
    still_open = len(session.pairs) - 3
    counts = summarize(open_folder(shards))["review"]
    assert counts == {"keep": 1, "flip": 1, "drop": 1, "open": still_open, "stale": 0}
    assert f"review: 1 kept, 1 flipped, 1 dropped, {still_open} not looked at, 0" in "\n".join(
        summary_lines(summarize(open_folder(shards)))
    )


def test_decisions_do_not_outlive_their_pairs(session: ReviewSession, shards: Path) -> None:
    session.answer(0, "drop")
    pair_folder(shards, policy="best-vs-worst", margin=0.0)
    counts = summarize(open_folder(shards))["review"]
    assert (counts["drop"], counts["stale"]) == (0, 1)
    assert len(PairDataset(shards)) == len(ReviewSession(shards, "ann").pairs)


def test_the_same_command_goes_on_where_the_rater_stopped(
    session: ReviewSession, shards: Path
) -> None:
    session.answer(0, "drop")
    session.answer(2, "keep")
    answers = [task["answer"] for task in ReviewSession(shards, "bea").describe()["tasks"]]
    assert answers[:3] == ["drop", None, "keep"]
    said = [json.loads(line) for line in (shards / REVIEW).read_text().splitlines()]
    assert [(row["rater"], row["decision"]) for row in said] == [("ann", "drop"), ("ann", "keep")]


def test_mistakes(session: ReviewSession, shards: Path, tmp_path: Path) -> None:
    for task in range(len(session.pairs)):
        session.answer(task, "drop")
    with pytest.raises(ValueError, match="holds no pairs; its reviewers dropped them all"):
        PairDataset(shards)
    (shards / REVIEW).write_text('{"pair": "x", "decision": "burn"}\n')
    with pytest.raises(ValueError, match="pair x is decided 'burn'; it must be keep, flip, drop"):
        PairDataset(shards)
    refused = CliRunner().invoke(main, ["review", str(tmp_path / "nowhere")])
    assert refused.exit_code == 2
    assert "does not exist" in refused.output


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium; install one")
def test_a_person_decides_by_keyboard_and_by_touch(session: ReviewSession, tmp_path: Path) -> None:
    assert PROGRAM
    loaded = "document.images.length > 1 && [...document.images].every(image => image.naturalWidth)"
    count = "document.querySelector('#count').textContent.split(' ')[0]"
    with Server(session) as server, Browser(PROGRAM, tmp_path / "profile") as page:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        page.show(1280, 800)
        page.open(server.url, loaded)
        for number, key in enumerate("kfd", 2):
            page.press(key)
            page.wait(f"{count} === '{number}'")
        page.press("ArrowLeft")
        page.wait("document.querySelector('.chosen').name === 'Drop'")
        page.show(360, 740, dark=True, touch=True)
        page.open(server.url, loaded)
        assert page.run(count) == "4"
        size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert page.run(size) == [360, 740]
        page.tap("[name=Flip]")
        page.wait(f"{count} === '5'")
        assert page.errors == []
        server.shutdown()
    said = (session.folder.path / REVIEW).read_text().splitlines()
    assert [json.loads(line)["decision"] for line in said] == ["keep", "flip", "drop", "flip"]
