"""Lists of pairs as spreadsheets, other systems and people write them."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sources import listed, picture, row, write_list
from test_import_damage import causes
from test_import_formats import assert_pictures, imported, pairs_of

ROWS = [row(0), row(1)]
CSV = "prompt,winner,loser\na cat 0,w0.png,l0.png\na cat 1,w1.png,l1.png\n"
PRETTY = "".join(json.dumps(each, indent=2) + "\n" for each in ROWS)
LINES = "".join(json.dumps(each) + "\n" for each in ROWS)

LISTS = {
    "a.csv": {
        "plain": CSV.encode(),
        "a mark, ends of Windows": b"\xef\xbb\xbf" + CSV.replace("\n", "\r\n").encode(),
        "semicolons": CSV.replace(",", ";").encode(),
        "tabs": CSV.replace(",", "\t").encode(),
        "UTF-16": CSV.encode("utf-16"),
        "ends of old Macs": CSV.replace("\n", "\r").encode(),
        "capitals and spaces in the header": CSV.replace("prompt,w", "Prompt, W").encode(),
        "spaces about paths": CSV.replace(",", " , ").encode(),
        "backslashes": CSV.replace(",w0", ",.\\w0").encode(),
        "comments above": b"# my pairs, all of them\n\n" + CSV.encode(),
        "sep=": b"sep=;\r\n" + CSV.replace(",", ";").encode(),
        "a header with #": CSV.replace("prompt", "#id,prompt").replace("\na", "\n1,a").encode(),
    },
    "A.CSV": {"a name in capitals": CSV.encode()},
    "a.tsv": {"tabs": CSV.replace(",", "\t").encode()},
    "a.json": {
        "a list": json.dumps(ROWS).encode(),
        "indented": json.dumps(ROWS, indent=1).encode(),
    },
    "a.jsonl": {
        "comments": b"# my pairs\n\n" + LINES.encode(),
        "a list": json.dumps(ROWS).encode(),
        "objects over several lines": PRETTY.encode(),
        "UTF-16": LINES.encode("utf-16"),
        "./ and ..": LINES.replace(': "w', ': "./w').replace('"l0', '"x/../l0').encode(),
        "file://": LINES.replace(': "w', ': "file://FOLDER/w').encode(),
        "absolute": LINES.replace(': "w', ': "FOLDER/w').encode(),
    },
}
CASES = [(name, data) for name, kinds in LISTS.items() for data in kinds.values()]
IDS = [f"{name}, {kind}" for name, kinds in LISTS.items() for kind in kinds]


@pytest.mark.parametrize(("name", "data"), CASES, ids=IDS)
def test_what_is_right_is_read(name: str, data: bytes, tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 2)
    (source / "pairs.jsonl").unlink()
    (source / "._a.jsonl").write_bytes(b"\0\5\x16\7")
    (source / "old.jsonl").mkdir()
    (source / name).write_bytes(data.replace(b"FOLDER", os.fsencode(source)))
    imported("folder", source, tmp_path / "out")
    assert_pictures(tmp_path / "out", 2)


def test_a_line_separator_is_part_of_a_prompt(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    said = "a cat\u2028of \x85 two lines"
    text = json.dumps(row(0, prompt=said), ensure_ascii=False)
    (source / "pairs.jsonl").write_text(text, encoding="utf-8")
    imported("folder", source, tmp_path / "out")
    assert [prompt for prompt, *_ in pairs_of(tmp_path / "out")] == [said]


NAMES: dict[str, tuple[str, str, dict[str, int]]] = {
    "NFC for NFD": (unicodedata.normalize("NFD", "café.png"), "café.png", {}),
    "NFD for NFC": ("café.png", unicodedata.normalize("NFD", "café.png"), {}),
    "percent": ("a b.png", "a%20b.png", {}),
    "percent in the name itself": ("a%20b.png", "a%20b.png", {}),
    "a backslash in the name itself": ("a\\b.png", "a\\b.png", {}),
    "another case": ("Ab.png", "aB.png", {"missing picture": 1}),
    "a URL": ("b.png", "https://example.org/b.png", {"picture is a URL": 1}),
    "data": ("b.png", "data:image/png;base64,AAAA", {"picture is a URL": 1}),
    "out by backslashes": ("b.png", "..\\..\\b.png", {"path leads out of the folder": 1}),
    "out by percents": ("b.png", "%2e%2e/b.png", {"path leads out of the folder": 1}),
    "out by file://": ("b.png", "file:///etc/passwd", {"path leads out of the folder": 1}),
}


@pytest.mark.parametrize(("file", "said", "dropped"), NAMES.values(), ids=NAMES)
def test_names_of_pictures(file: str, said: str, dropped: dict[str, int], tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    (source / file).write_bytes(picture(9))
    write_list(source, [row(0), row(0, loser=said)])
    assert causes("folder", source, tmp_path / "out") == dropped
    lines = (tmp_path / "out" / "dropped.jsonl").read_text().splitlines()
    assert [json.loads(line)["path"] for line in lines] == [said for _ in dropped]


VALUES: list[tuple[str, str]] = [
    ('"margin": NaN', "margin is no number from 0 to 1"),
    ('"margin": Infinity', "margin is no number from 0 to 1"),
    ('"margin": 1' + "0" * 400, "margin is no number from 0 to 1"),
    ('"margin": 1' + "0" * 5000, "margin is no number from 0 to 1"),
    ('"margin": 1e400', "margin is no number from 0 to 1"),
    ('"margin": true', "margin is no number from 0 to 1"),
    ('"margin": "0_1"', "margin is no number from 0 to 1"),
    ('"margin": [1]', "margin is no number from 0 to 1"),
    ('"margin": -0.0', "tie"),
    ('"margin": 1e-320', "tie"),
    ('"prompt": 5', "prompt is no text"),
    ('"prompt": ["a"]', "prompt is no text"),
    ('"prompt": "\\u200b\\ufeff"', "empty prompt"),
    ('"winner": "l0.png"', "a name twice in a row"),
]


@pytest.mark.parametrize(("said", "cause"), VALUES, ids=[said[:20] for said, _ in VALUES])
def test_values(said: str, cause: str, tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    fields = {"prompt": '"a cat"', "winner": '"w0.png"', "loser": '"l0.png"'}
    if cause != "a name twice in a row":
        fields.pop(said.split('"')[1], None)
    rest = ", ".join(f'"{name}": {value}' for name, value in fields.items())
    with (source / "pairs.jsonl").open("a") as file:
        file.write(f"{{{rest}, {said}}}\n")
    assert causes("folder", source, tmp_path / "out") == {cause: 1}


def test_margins_of_a_spreadsheet_with_decimal_commas(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 3)
    lines = ["prompt;winner;loser;margin"]
    lines += [
        f"a cat {i};w{i}.png;l{i}.png;{margin}" for i, margin in enumerate(("0,5", "50%", ""))
    ]
    (source / "a.csv").write_text("\n".join(lines))
    dropped = causes("folder", source / "a.csv", tmp_path / "out")
    assert dropped == {"margin is no number from 0 to 1": 1}
    assert [margin for *_, margin in pairs_of(tmp_path / "out")] == [0.5, 1.0]


def test_a_comma_that_is_not_quoted_cuts_no_prompt(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    text = "winner,loser,prompt\nw0.png,l0.png,a cat 0\nw0.png,l0.png,two cats, one car\nw0.png\n"
    (source / "a.csv").write_text(text + "w0.png,l0.png,a cat,,\n")
    dropped = causes("folder", source / "a.csv", tmp_path / "out")
    assert dropped == {"more cells than the header": 1, "missing picture": 1}
    assert [prompt for prompt, *_ in pairs_of(tmp_path / "out")] == ["a cat 0", "a cat"]


def _pipe(source: Path) -> Path:
    os.mkfifo(source / "pipe")
    return source / "pipe"


def _written(name: str, text: str) -> Callable[[Path], Path]:
    def write(source: Path) -> Path:
        (source / name).write_text(text)
        return source / name

    return write


REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "a pipe": (_pipe, "is a pipe, and an import that goes on reads its source again; save it"),
    "standard input": (lambda source: Path("-"), "'-' is a pipe"),
    "a column twice": (
        _written("a.csv", CSV.replace("loser", "loser,Winner")),
        "has winner twice: prompt, winner, loser, winner; rename",
    ),
    "a quote that takes rows with it": (
        _written("a.csv", CSV.replace("a cat 0", '"a cat 0')),
        "line 3: no CSV .*; look for a quote",
    ),
    "two lists": (
        lambda source: (_written("b.csv", CSV)(source), source)[1],
        r"holds 2 lists \(b.csv, pairs.jsonl\)",
    ),
}


@pytest.mark.parametrize(("make", "sentence"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(make: Callable[[Path], Path], sentence: str, tmp_path: Path) -> None:
    source = make(listed(tmp_path / "source", 2))
    with pytest.raises(ValueError, match=sentence):
        imported("folder", source, tmp_path / "out")


def hpd(folder: Path, format_: str, rows: list[dict[str, Any]]) -> dict[str, int]:
    """Each row about w0.png and l0.png, and a right one behind them."""
    (folder / "train.json").write_text(json.dumps(rows))
    return causes(format_, folder, folder.parent / "out")


NAN, INF = float("nan"), float("inf")
VOTES: list[tuple[list[Any], str | None]] = [
    ([NAN, 1], "votes are no numbers"),
    ([5, NAN], "votes are no numbers"),
    ([INF, 1], "votes are no numbers"),
    ([INF, INF], "votes are no numbers"),
    ([10**400, 1], "votes are no numbers"),
    ([3, -1], "votes are no numbers"),
    ([True, False], "votes are no numbers"),
    ([3, 1, 1], "missing label"),
    ([], "missing label"),
    ([0, 0], "tie"),
    (["7", "3"], None),
    ([1.7e308, 1e308], None),
    ([5e-324, 0], None),
]


@pytest.mark.parametrize(("votes", "cause"), VOTES, ids=[str(votes)[:20] for votes, _ in VOTES])
def test_votes_of_hpdv3(votes: list[Any], cause: str | None, tmp_path: Path) -> None:
    pair = {"prompt": "a cat", "path1": "w0.png", "path2": "l0.png"}
    rows = [pair | {"choice_dist": votes}, pair | {"choice_dist": [3, 1]}]
    found = hpd(listed(tmp_path / "source", 1), "hpdv3", rows)
    assert found == ({cause: 1} if cause else {})
    margins = [margin for *_, margin in pairs_of(tmp_path / "out")]
    assert margins[-1] == 0.5
    assert all(0 < margin <= 1 for margin in margins)


HPDV2: dict[str, tuple[dict[str, Any], int, dict[str, int]]] = {
    "one of three ranks NaN": ({"rank": [1, NAN, 3]}, 1, {"rank is no number": 2}),
    "ranks in text": ({"rank": ["1", "2", "2"]}, 2, {"tie": 1}),
    "true and false": ({"rank": [True, False, 1]}, 0, {"rank is no number": 3}),
    "400 digits": ({"rank": [10**400, 1, 2]}, 1, {"rank is no number": 2}),
    "two ranks": ({"rank": [1, 2]}, 0, {"missing label": 1}),
    "one preferred of three": ({"human_preference": [1, 0, 0]}, 2, {"tie": 1}),
    "a preference of 400 digits": (
        {"image_path": ["w0.png", "l0.png"], "human_preference": [10**400, 1]},
        0,
        {"label is no number from 0 to 1": 1},
    ),
    "file_path null": ({"file_path": None, "rank": [1, 2, 3]}, 3, {}),
}


@pytest.mark.parametrize(("said", "pairs", "dropped"), HPDV2.values(), ids=HPDV2)
def test_ranks_of_hpdv2(
    said: dict[str, Any], pairs: int, dropped: dict[str, int], tmp_path: Path
) -> None:
    row_ = {"prompt": "a cat", "image_path": ["w0.png", "l0.png", "w1.png"]} | said
    right = {"prompt": "b", "file_path": ["l1.png", "w1.png"], "human_preference": [0, 1]}
    assert hpd(listed(tmp_path / "source", 2), "hpdv2", [row_, right]) == dropped
    assert len(pairs_of(tmp_path / "out")) == pairs + 1
