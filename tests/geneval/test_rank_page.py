"""Orders and ties by the keys that people press first, in a real browser."""

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
PLACES = "[...document.querySelectorAll('.rank')].map(node => node.textContent).join()"
COUNT = "document.querySelector('#count').textContent"
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium is installed")


@pytest.fixture(params=[2, 3])
def server(
    request: pytest.FixtureRequest, tmp_path: Path, prompts: list[Prompt]
) -> Iterator[Server]:
    runs = [tmp_path / f"run{red}" for red in range(request.param)]
    for red, run in enumerate(runs):
        write_prompt_folders(run, prompts)
        for number in range(len(prompts)):
            save_image(
                Image.new("RGB", (64, 64), (80 * red, 40 * number, 120)),
                run / image_name(number, 0),
            )
    with Server(RankSession(runs, tmp_path / "study", "ann", 1)) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def loaded(runs: int) -> str:
    shown = f"document.images.length >= {runs}"
    return f"{shown} && [...document.images].every(image => image.naturalWidth)"


CASES = {
    2: [
        ("1", "1st,2nd", [0, 1]),
        ("12", "1st,2nd", [0, 1]),  # the place that fills itself may be chosen too
        ("21", "2nd,1st", [1, 0]),
        ("=", "1st =,1st =", [[0, 1]]),
        ("1=", "1st =,1st =", [[0, 1]]),
        ("1=2", "1st =,1st =", [[0, 1]]),
        ("1==", "1st,2nd", [0, 1]),
        ("11", ",", None),
    ],
    3: [
        ("123", "1st,2nd,3rd", [0, 1, 2]),
        ("31", "2nd,3rd,1st", [2, 0, 1]),
        ("2=3", "3rd,1st =,1st =", [[1, 2], 0]),
        ("12=", "1st,2nd =,2nd =", [0, [1, 2]]),
        ("=", "1st =,1st =,1st =", [[0, 1, 2]]),
        ("1", "1st,,", None),
        ("122", "1st,,", None),
        ("=2", ",1st,", None),
    ],
}


def test_keys(server: Server, tmp_path: Path) -> None:
    assert PROGRAM
    session = server.session
    assert isinstance(session, RankSession)
    runs = len(session.items[0].shown)
    with Browser(PROGRAM, tmp_path / "profile") as page:
        page.show(1280, 800)
        page.open(server.url, loaded(runs))
        for keys, shown, answer in CASES[runs]:
            page.press("Backspace")
            for key in keys:
                page.press(key)
            assert page.run(PLACES) == shown, keys
            before = page.run(COUNT)
            page.press("Enter")
            if answer is None:  # Enter confirms whole orders only
                assert page.run(COUNT) == before
                continue
            page.wait(f"{COUNT}.startsWith('2 of 6')")
            page.press("ArrowLeft")
            page.wait(f"{COUNT}.startsWith('1 of 6')")
            assert page.run(PLACES) == shown, keys  # as it was answered
            task = session.describe()["tasks"][0]
            assert [sorted(p) if isinstance(p, list) else p for p in task["answer"]] == answer
        page.show(360, 740, touch=True)
        page.open(server.url, loaded(runs))
        page.press("ArrowLeft")
        page.tap("[name=Clear]")
        page.wait(f"{PLACES} === '{',' * (runs - 1)}'")
        assert page.run("document.documentElement.scrollWidth") == 360
        page.tap(".card:nth-child(2)")
        page.tap("[name=Equal]")
        page.wait("document.querySelector('[name=Equal]').classList.contains('chosen')")
        page.tap(".card:nth-child(1)")
        page.wait(f"{PLACES}.startsWith('1st =,1st =')")
        assert page.errors == []
    rows = (tmp_path / "study/answers/ann.jsonl").read_text().splitlines()
    assert all(len(json.loads(row)["shown"]) == runs for row in rows)
