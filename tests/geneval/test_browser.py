"""The page in a real browser: keyboard, touch, phone width, both colour schemes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from browser import Browser, find_chromium
from PIL import Image

from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.comparison.rank_session import RankSession
from sipo.geneval.layout import image_name, save_image, write_prompt_folders
from sipo.pages.server import Server

PROGRAM = find_chromium()
LOADED = "document.images.length > 2 && [...document.images].every(image => image.naturalWidth)"
PLACES = "[...document.querySelectorAll('.rank')].map(node => node.textContent).join()"


@pytest.fixture
def server(tmp_path: Path, prompts: list[Prompt]) -> Iterator[Server]:
    for red in range(3):
        write_prompt_folders(tmp_path / f"run{red}", prompts)
        for number in range(len(prompts)):
            image = Image.new("RGB", (64, 64), (80 * red, 40 * number, 120))
            save_image(image, tmp_path / f"run{red}" / image_name(number, 0))
    runs = [tmp_path / f"run{red}" for red in range(3)]
    with Server(RankSession(runs, tmp_path / "study", "ann", 1)) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.skipif(PROGRAM is None, reason="needs Chromium; install one")
def test_a_person_ranks_by_keyboard_and_by_touch(server: Server, tmp_path: Path) -> None:
    assert PROGRAM
    with Browser(PROGRAM, tmp_path / "profile") as page:
        page.show(1280, 800)
        page.open(server.url, LOADED)
        background = page.run("getComputedStyle(document.body).backgroundColor")
        assert page.run("document.documentElement.scrollHeight") == 800  # all is seen at once
        page.press("3")
        page.press("1")
        assert page.run(PLACES) == "2nd,3rd,1st"
        page.press("Enter")
        page.wait("document.querySelector('#count').textContent.startsWith('2 of 6')")
        page.press("2")
        page.press("Backspace")
        assert page.run(PLACES) == ",,"
        page.press("ArrowLeft")
        assert page.run("document.querySelector('#count').textContent") == "1 of 6, answered"
        assert page.run(PLACES) == "2nd,3rd,1st"

        page.show(360, 740, dark=True, touch=True)
        page.open(server.url, LOADED)
        assert page.run("document.querySelector('#count').textContent") == "2 of 6"
        assert page.run("document.documentElement.scrollWidth") == 360
        assert page.run("getComputedStyle(document.body).backgroundColor") != background
        assert page.run("document.documentElement.scrollHeight") == 740
        page.tap(".card:nth-child(2)")
        page.wait(f"{PLACES} === ',1st,'")
        page.tap(".card:nth-child(3)")
        page.tap("[name=Next]")
        page.wait("document.querySelector('#count').textContent.startsWith('3 of 6')")
        assert page.errors == []
        server.shutdown()
        server.server_close()
        page.tap(".card")
        page.tap(".card:nth-child(2)")
        page.tap("[name=Next]")
        page.wait("document.querySelector('#error').textContent.includes('the command has ended')")
    said = (tmp_path / "study/answers/ann.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in said]
    places = [[row["shown"].index(run) for run in row["order"]] for row in rows]
    assert places == [[2, 0, 1], [1, 2, 0]]
