"""Keep, flip, drop: what people say of pairs, and that training heeds it."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from threading import Thread

import pytest
import torch
from browser import Browser, find_chromium
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed
from test_judging_again import OtherJudge
from test_judging_again import contents as bytes_of

from sipo.backbones.base import Backbone
from sipo.datagen.cli import main
from sipo.datagen.encode import encode_folder
from sipo.datagen.export import export_folder
from sipo.datagen.generation.rejudging import judge_folder, pair_folder
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.looking.review import ReviewSession
from sipo.datagen.storage.decisions import REVIEW, Decisions, ReviewCounts, names_of
from sipo.datagen.storage.folder_summary import summarize, summary_lines
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.pages.server import Server

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
    with pytest.raises(
        ValueError, match="answer 'burn' is no decision; give keep, flip, tie, drop"
    ):
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


def _counts(shards: Path) -> ReviewCounts:
    review = summarize(open_folder(shards)).review
    assert review is not None
    return review


def test_the_summary_counts_decisions(session: ReviewSession, shards: Path) -> None:
    assert summarize(open_folder(shards)).review is None
    for task, decision in enumerate(("drop", "flip", "keep")):
        session.answer(task, decision)
    still_open = len(session.pairs) - 3
    counts = _counts(shards)
    assert counts == ReviewCounts(keep=1, flip=1, drop=1, open=still_open, stale=0)
    assert f"review: 1 kept, 1 flipped, 1 dropped, {still_open} not looked at, 0" in "\n".join(
        summary_lines(summarize(open_folder(shards)))
    )


def preferred(shards: Path) -> dict[frozenset[str], str]:
    """By the two candidates of a pair, the one that training prefers."""
    folder, found = open_folder(shards), {}
    decisions = Decisions(folder)
    for number in folder.numbers:
        for name in names_of(folder, number).values():
            said = decisions.of(name) or "open"
            chosen = {"keep": name.winner, "flip": name.loser}.get(said, said)
            found[frozenset((name.winner, name.loser))] = chosen
    return found


DECIDED = ("drop", "flip", "keep", "flip")


@pytest.fixture
def decided(session: ReviewSession, shards: Path) -> dict[frozenset[str], str]:
    for task, decision in enumerate(DECIDED):
        session.answer(task, decision)
    return {pair: said for pair, said in preferred(shards).items() if said != "open"}


def test_decisions_are_on_two_pictures_and_survive_another_pairing(
    decided: dict[frozenset[str], str], shards: Path
) -> None:
    pair_folder(shards)  # for the summary, which counts the decisions
    before = bytes_of(shards)
    fingerprint = PairDataset(shards).fingerprint()
    pair_folder(shards, policy="all-over-margin", margin=0.0, max_pairs_per_prompt=6)
    now = preferred(shards)
    assert {pair: now[pair] for pair in decided} == decided
    assert sum(said != "open" for said in now.values()) == len(decided)
    counts = _counts(shards)
    assert (counts.drop, counts.flip, counts.keep, counts.stale) == (1, 2, 1, 0)
    assert len(PairDataset(shards)) == len(now) - 1
    pair_folder(shards, margin=1.0)  # no pairs: the decisions wait
    assert _counts(shards).stale == len(decided)
    pair_folder(shards, margin=0.2, max_pairs_per_prompt=3)
    assert bytes_of(shards) == before
    assert PairDataset(shards).fingerprint() == fingerprint


def test_decisions_survive_another_judge_who_turns_a_pair(
    decided: dict[frozenset[str], str], shards: Path, tmp_path: Path
) -> None:
    """OtherJudge gives 1 - score: every winner loses. What people prefer is what it was."""
    out = tmp_path / "other"
    judge_folder(shards, "x", judge=OtherJudge(), progress=False, out=out)
    pair_folder(out, margin=0.0, max_pairs_per_prompt=6)
    now = preferred(out)
    assert {pair: now[pair] for pair in decided} == decided
    counts = _counts(out)
    assert (counts.flip, counts.keep, counts.drop) == (1, 2, 1)
    exported = export_folder(out, "webdataset", tmp_path / "tars")
    assert exported == len(PairDataset(out)) == len(now) - 1


def as_it_was_written_before(shards: Path) -> None:
    """Answers by the pair's place, indexes without the pair's candidates."""
    folder, old = open_folder(shards), {}
    for number in folder.numbers:
        old |= {name.key: name.place for name in names_of(folder, number).values()}
        path = folder.tar("pairs", number).with_suffix(".json")
        index = json.loads(path.read_bytes())
        for sample in index["samples"].values():
            del sample["winner"], sample["loser"]
        path.write_text(json.dumps(index))
    lines = [json.loads(line) for line in (shards / REVIEW).read_text().splitlines()]
    for line in lines:
        line["pair"] = old[line["pair"]]
        del line["winner"]
    (shards / REVIEW).write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("elsewhere", [False, True])
def test_decisions_of_older_folders_are_heeded_and_carried_over(
    elsewhere: bool, decided: dict[frozenset[str], str], shards: Path, tmp_path: Path
) -> None:
    as_it_was_written_before(shards)
    assert decided.items() <= preferred(shards).items()
    answers = (shards / REVIEW).read_bytes()
    out = tmp_path / "new" if elsewhere else None
    pair_folder(shards, margin=0.0, max_pairs_per_prompt=6, out=out)
    assert decided.items() <= preferred(out or shards).items()
    assert _counts(out or shards).stale == 0
    assert (out or shards).joinpath(REVIEW).read_bytes().startswith(answers)
    if elsewhere:
        assert (shards / REVIEW).read_bytes() == answers
    ReviewSession(out or shards, "bea").answer(0, "keep")  # the last word is the newest
    assert (
        Decisions(open_folder(out or shards)).of(ReviewSession(out or shards, "bea").pairs[0].name)
        == "keep"
    )


def test_decisions_survive_encoding(tmp_path: Path, tiny_backbone: Backbone) -> None:
    source = listed(tmp_path / "source", 3)
    asked = ImportSettings(format="folder", source=str(source), out=tmp_path / "in", resolution=PX)
    import_pairs(asked, progress=False)
    ReviewSession(asked.out, "ann").answer(1, "flip")
    before = preferred(asked.out)
    encode_folder(asked.out, backbone=tiny_backbone, progress=False)
    assert preferred(asked.out) == before
    assert PairDataset(asked.out).review["flip"] == 1


def test_the_same_command_goes_on_where_the_rater_stopped(
    session: ReviewSession, shards: Path
) -> None:
    session.answer(0, "drop")
    session.answer(2, "keep")
    answers = [task["answer"] for task in ReviewSession(shards, "bea").describe()["tasks"]]
    assert answers[:3] == ["drop", None, "keep"]
    said = [json.loads(line) for line in (shards / REVIEW).read_text().splitlines()]
    assert [(row["rater"], row["decision"]) for row in said] == [("ann", "drop"), ("ann", "keep")]


def test_an_answer_may_be_taken_back_and_noted(session: ReviewSession, shards: Path) -> None:
    session.answer(0, "drop", "too dark")
    session.answer(1, "tie")
    shown = session.describe()["tasks"]
    assert [(one["answer"], one["note"]) for one in shown[:2]] == [
        ("drop", "too dark"),
        ("tie", ""),
    ]
    assert len(PairDataset(shards)) == len(session.pairs) - 2
    assert (_counts(shards).tie, _counts(shards).drop) == (1, 1)
    assert ", 1 dropped, 1 ties, " in "\n".join(summary_lines(summarize(open_folder(shards))))
    session.answer(0, None)
    assert session.describe()["tasks"][0]["answer"] is None
    assert len(PairDataset(shards)) == len(session.pairs) - 1
    pair_folder(shards, policy="all-over-margin", margin=0.0, max_pairs_per_prompt=6)
    assert list(preferred(shards).values()).count("tie") == 1


def test_what_is_wrong_is_said_and_marked(session: ReviewSession) -> None:
    task = session.describe()["tasks"][0]
    winner, loser = task["items"]
    assert loser["note"].endswith("the hash says so")
    assert (task["marks"], task["kinds"], loser["boxes"]) == ([], ["other"], [])
    assert winner["note"].endswith("correct")
    assert task["tag"] == session.pairs[0].row.prompt.tag


def test_mistakes(session: ReviewSession, shards: Path, tmp_path: Path) -> None:
    for task in range(len(session.pairs)):
        session.answer(task, "drop")
    with pytest.raises(ValueError, match="holds no pairs; its reviewers dropped them all"):
        PairDataset(shards)
    (shards / REVIEW).write_text('{"pair": "x", "decision": "burn"}\n')
    with pytest.raises(
        ValueError, match="pair x is decided 'burn'; it must be keep, flip, tie, drop"
    ):
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
        page.press("u")
        page.wait("!document.querySelector('.chosen')")
        page.press("n")
        page.run("document.querySelector('#note').value = 'odd'")
        page.press("Enter")
        page.press("d")
        page.wait(f"{count} === '4'")
        page.press("z")
        page.wait("document.querySelector('dialog[open] .boxes') === null")
        page.press("k")  # is no answer while a picture is enlarged
        page.press("Escape")
        page.wait("!document.querySelector('dialog[open]')")
        page.show(360, 740, dark=True, touch=True)
        page.open(server.url, loaded)
        assert page.run(count) == "4"
        size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
        assert page.run(size) == [360, 740]
        page.tap("[name=Flip]")
        page.wait(f"{count} === '5'")
        assert page.errors == []
        server.shutdown()
    said = [json.loads(line) for line in (session.folder.path / REVIEW).read_text().splitlines()]
    told = [line.get("decision", line.get("taken_back")) for line in said]
    assert told == ["keep", "flip", "drop", True, "drop", "flip"]
    assert [line.get("note") for line in said] == [None, None, None, None, "odd", None]
