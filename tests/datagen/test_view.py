"""The page of a folder: what it says is of the folder, and it is no larger than it may be."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, find_chromium
from data_commands import refused, run
from PIL import Image

from sipo.common.pictures.picture import to_bytes
from sipo.datagen.looking import view_page
from sipo.datagen.looking.review import ReviewSession
from sipo.datagen.looking.view_choice import choose
from sipo.datagen.looking.view_data import row_json
from sipo.datagen.looking.view_page import view
from sipo.datagen.looking.view_pictures import LEVELS, PageBytes, encoded, level_for
from sipo.datagen.looking.view_rows import PromptRow, ShownCandidate
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.sample_json import candidate_rows
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.prompts.prompt import plain_text, prompt_of
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict

PROGRAM = find_chromium()
ASKED = [{"class": "dog", "count": 1, "color": "red"}]


def data_of(page: str) -> list[dict[str, Any]]:
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    rows: list[dict[str, Any]] = json.loads(found[1])
    return rows


def test_the_page_has_every_pair_and_every_candidate(shards: Path) -> None:
    looked = run("view", shards)
    assert looked.exit_code == 0, looked.output
    assert "page of all" in looked.output
    page, folder = (shards / "view.html").read_text(), open_folder(shards)
    rows = data_of(page)
    assert sum(len(row["pairs"]) for row in rows) == len(PairDataset(shards))
    kept = dict(found for number in folder.numbers for found in candidate_rows(folder, number))
    shown = {one["key"]: one for row in rows for one in row["candidates"]}
    assert shown.keys() == kept.keys()
    for row in rows:
        scores = [one["score"] for one in row["candidates"]]
        assert scores == sorted(scores, reverse=True)
        for pair in row["pairs"]:
            winner, loser = (row["candidates"][pair[role]] for role in ("winner", "loser"))
            assert winner["score"] - loser["score"] == pytest.approx(pair["margin"], abs=2e-3)
    wrong = next(one for one in shown.values() if not one["correct"])
    assert wrong["why"] == [kept[wrong["key"]].verdict.reason]
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", page)


def test_a_page_shows_as_many_as_are_asked_for_or_fit(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = open_folder(shards)
    for asked in (1, 4):
        made = view(folder, asked)
        assert sum(len(row["pairs"]) for row in data_of(made.page)) == asked
        assert made.said.startswith(
            f"{asked} of {len(PairDataset(shards))} pairs, evenly taken, from "
        )
    few = choose(folder, 9)
    assert [len(one.candidates) for one in few.prompts] == [4, 4]
    monkeypatch.setattr(view_page, "MOST_BYTES", 12_000)
    small = view(folder)
    assert len(data_of(small.page)) < few.of_prompts
    assert "evenly taken" in small.said


def test_pictures_are_as_large_as_fit() -> None:
    noise = to_bytes(Image.effect_noise((600, 300), 80).convert("RGB"))
    verdict = Verdict(score=1.0, correct=True)
    row = PromptRow(plain_text("noise"), [ShownCandidate("cand-0", verdict, noise, "png")], [])
    sizes = [next(encoded(row.candidates, level)).bytes for level in LEVELS]
    assert sizes == sorted(sizes, reverse=True)
    assert level_for([row], 100, 100 * sizes[2]) == 2
    assert level_for([row], 100, 1) == len(LEVELS) - 1
    shown = next(encoded(row.candidates, LEVELS[0]))
    assert (shown.size, read_uri(shown.uri).size) == ((600, 300), (512, 256))


def read_uri(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_judges_are_told_apart_and_marks_count_as_a_browser_does() -> None:
    prompt = prompt_of({"prompt": "\U0001f436 a red dog", "tag": "colors", "include": ASKED}, "row")
    missing = Complaint("dog", "missing", 1, 0)
    verdict = Verdict(
        score=0.2,
        correct=False,
        complaints=(Complaint("owlv2", "member", "", (missing,)),),
        evidence={
            "owlv2": {"score": 0.1, "correct": False},
            "clip": {"score": 0.3, "correct": True},
        },
    )
    row = PromptRow(prompt, [ShownCandidate("cand-0", verdict, b"", "png")], [])
    [one] = row_json(row, [PageBytes("data:,", (8, 8))])["candidates"]
    assert (one["judges"], one["kinds"], one["why"]) == (
        ["owlv2"],
        ["missing"],
        ["owlv2: no dog is seen"],
    )
    assert one["scores"] == [["owlv2", 0.1, False], ["clip", 0.3, True]]
    assert one["marks"] == [(3, 12)]  # the first letter is two of UTF-16


def test_a_folder_of_pairs_alone_is_shown_too(shards: Path) -> None:
    for path in shards.glob("candidates-*"):
        path.unlink()
    ReviewSession(shards, "ann").answer(0, "flip")
    rows = data_of(view(open_folder(shards)).page)
    assert [pair["decision"] for row in rows for pair in row["pairs"]].count("flip") == 1
    assert sum(len(row["pairs"]) for row in rows) == len(PairDataset(shards))


def test_mistakes(shards: Path, tmp_path: Path) -> None:
    assert "does not exist" in refused(run("view", tmp_path / "nowhere"))
    (shards / "pairs-000001.tar").write_bytes(b"short")
    assert "is truncated" in refused(run("view", shards))


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium; install one")
def test_a_person_filters_and_enlarges_by_keyboard(shards: Path, tmp_path: Path) -> None:
    assert PROGRAM
    (shards / "view.html").write_text(view(open_folder(shards)).page)
    shown = "document.querySelectorAll('article').length"
    with Browser(PROGRAM, tmp_path / "profile") as page:
        page.show(360, 740)
        page.open((shards / "view.html").as_uri(), f"{shown} > 0")
        assert page.run(shown) == len(PairDataset(shards))
        page.press("/")
        assert page.run("document.activeElement.name") == "text"
        page.run("form.elements.text.value = 'bus'; form.oninput()")
        assert 0 < page.run(shown) <= 3
        assert page.run("document.documentElement.scrollWidth") <= 360
        page.run("location.hash = 'prompts'")
        page.wait("document.querySelector('output').textContent === '1 of 5 prompts'")
        page.run("document.querySelector('.picture').focus()")
        page.press("Enter")
        count = "document.querySelector('dialog[open] .tools span')?.textContent"
        page.wait(f"{count} === '1 of 4'")
        page.press("ArrowRight")
        assert page.run(count) == "2 of 4"
        page.press("Escape")
        focused = "[...document.querySelectorAll('.picture')].indexOf(document.activeElement)"
        page.wait(f"!document.querySelector('dialog[open]') && {focused} === 1")
        assert page.errors == []
