"""Prompt files as people have them: what is right is read, what is wrong is one sentence."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import pytest

from sipo.common.files.pipes import is_pipe
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import parse_prompt, prompt_of, read_prompts

CAT = grammar.single_object("cat")
DOG = {"class": "dog", "count": 1}


def texts(path: Path | str) -> list[str]:
    return [prompt.text for prompt in read_prompts(path)]


def asked(include: Any, exclude: Any = (), tag: str = "two_object") -> dict[str, Any]:
    return {"tag": tag, "include": include, "exclude": exclude, "prompt": "a photo"}


@pytest.mark.parametrize(
    ("include", "exclude", "says"),
    [
        ([DOG], [DOG], "exclude.0. forbids 1 or more 'dog', and 1 are included: no image"),
        (
            [DOG | {"count": 2, "color": "red"}],
            [DOG],
            "forbids 1 or more 'dog', and 2 are included",
        ),
        (
            [DOG | {"color": "red"}],
            [DOG | {"color": "red"}],
            "forbids 1 or more 'red dog', and 1 are included",
        ),
        ([DOG], [DOG | {"count": 5, "position": ["above", 0]}], "exclude.0..position: what must"),
        (
            [
                DOG | {"position": ["left of", 1]},
                {"class": "cat", "count": 1, "position": ["left of", 0]},
            ],
            [],
            "'dog' is to be left of itself, round a circle of targets",
        ),
        ([DOG | {"position": ["above", 0]}], [], "target 0, which is not another clause"),
        ([DOG | {"position": ["above", 10**80]}], [], "which is not another clause"),
        (
            [DOG | {"count": 10**90}],
            [],
            "include.0.count: Input should be less than or equal to 1000",
        ),
        ([DOG | {"count": 600}] * 2, [], "asks for 1200 objects"),
        ([DOG | {"count": 5, "position": ["above", 1]}, DOG | {"count": 4}], [], "up to 8 of one"),
        ([DOG | {"count": True}], [], "include.0.count: write a number"),
        ([{"class": " dog", "count": 1}], [], "include.0.class: begins or ends with a space"),
    ],
)
def test_what_no_image_can_show_is_no_prompt(include: Any, exclude: Any, says: str) -> None:
    with pytest.raises(ValueError, match=f"^p.jsonl, line 3: .*{says}") as error:
        prompt_of(asked(include, exclude), "p.jsonl, line 3")
    assert len(str(error.value)) < 500


def test_what_an_image_can_show_is_one() -> None:
    cat = {"class": "cat", "count": 1}
    for include, exclude in (
        ([DOG | {"position": ["left of", 1]}, cat | {"position": ["right of", 0]}], []),
        ([DOG | {"position": ["left of", 1]}, cat | {"position": ["above", 0]}], []),
        ([DOG | {"color": "blue"}], [DOG | {"color": "red"}]),
        ([DOG], [DOG | {"count": 2}]),
        ([DOG | {"count": 2.0, "color": None, "position": None}], None),  # as tables write them
    ):
        assert prompt_of(asked(include, exclude), "x").include


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"prompt": "a", "prompt": "b"}', "has 'prompt' twice"),
        ('{"prompt": NaN}', "NaN is no finite number"),
        ('{"prompt": "\\ud800"}', "half a character"),
        ('{"prompt": ' + "9" * 400 + "}", "number of 400 digits"),
        ('{"prompt": ' + "9" * 5000 + "}", "number of 5000 digits"),
        ('{"prompt": ' + "[" * 10_000 + "]" * 10_000 + "}", "nested too deep"),
        ('{"prompt": ' + "[" * 300 + "]" * 300 + "}", "prompt: Input should be a valid string"),
        ('{"prompt": "  "}', "the prompt is blank"),
        ('{"prompt": "a", "exclude": []}', "tag: Field required"),
        (
            '{"tag": "text", "include": [], "exclude": [{"class": "a", "count": 1}], '
            '"prompt": "a"}',
            "exclude of a prompt of tag 'text'",
        ),
        ("3", "row: "),
        ("[1]", "row: "),
        ('"', "not JSON"),
    ],
)
def test_odd_rows_are_one_sentence(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"^p.jsonl, line 2: .*{says}") as error:
        parse_prompt(line, "p.jsonl, line 2")
    assert len(str(error.value)) < 500


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("name", ["a.txt", "B.TXT"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_texts_as_editors_save_them(tmp_path: Path, encoding: str, name: str, end: str) -> None:
    lines = [
        "a café",
        "",
        "#1 dad mug",
        "# a comment",
        "two\u2028dogs",
        "#",
        "## more",
        "\ufeffrain",
    ]
    (tmp_path / name).write_bytes(end.join(lines).encode(encoding))
    assert texts(tmp_path / name) == ["a café", "#1 dad mug", "two\u2028dogs", "rain"]


def test_comments_are_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a.txt").write_text("# animals\na cat\n# more\n")
    with caplog.at_level(logging.WARNING):
        assert texts(tmp_path / "a.txt") == ["a cat"]
    assert "lines that begin with '# ' are comments: 2 are no prompts" in caplog.text


def test_only_what_is_passed_on_is_a_pipe(tmp_path: Path) -> None:
    assert is_pipe(Path("/dev/fd/63"))
    assert is_pipe(Path("/dev/stdin"))
    (tmp_path / "a").touch()
    assert not is_pipe(tmp_path / "a")
    if (memory := Path("/dev/shm")).is_dir():
        with tempfile.NamedTemporaryFile(dir=memory) as file:
            assert not is_pipe(Path(file.name))


def test_rows_in_an_array_and_under_other_names(tmp_path: Path) -> None:
    array = json.dumps([CAT.to_row(), {"prompt": "rain"}, "snow"], indent=1)
    for name in ("a.json", "a.JSONL", "a"):
        (tmp_path / name).write_text("\n" + array)
        assert texts(tmp_path / name) == [CAT.text, "rain", "snow"]
    (tmp_path / "a.json").write_text('[{"prompt": "rain"}, 3]')
    with pytest.raises(ValueError, match=r"a.json, row 2: row: .*got '3'"):
        read_prompts(tmp_path / "a.json")
    (tmp_path / "a.JSONL").write_text("a cat\n")
    with pytest.raises(ValueError, match=r"a.JSONL, line 1: not JSON"):
        read_prompts(tmp_path / "a.JSONL")


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        (
            "a.txt",
            CAT.to_json().encode(),
            "line 1 is a JSON row, no plain text; name the file .jsonl",
        ),
        ("a.txt", "a cat".encode("utf-16-le"), "holds NUL bytes.*; save it as UTF-8"),
        ("a.txt", b"caf\xe9", "is not UTF-8: .*; save it as UTF-8"),
        ("a.CSV", b"prompt\na cat\n", "is a table; save its prompts as a .txt, one a line"),
        ("a.txt", b" \n\n", "has no prompts"),
        ("a.jsonl", b"[]", "has no prompts"),
    ],
)
def test_what_is_no_prompt_file(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=says):
        read_prompts(tmp_path / name)


def test_a_folder_and_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is a folder; give a file in it"):
        read_prompts(tmp_path)
    with pytest.raises(ValueError, match="does not exist"):
        read_prompts(tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("said", "found"), [("a cat\nrain\n", ["a cat", "rain"]), (CAT.to_json(), [CAT.text])]
)
def test_what_is_piped_is_read_as_often_as_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, found: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(said.encode()), encoding="utf-8"))
    assert [texts("-"), texts("-")] == [found, found]
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text(said))
    writer.start()
    assert [texts(tmp_path / "pipe"), texts(tmp_path / "pipe")] == [found, found]
    writer.join()


def test_standard_input_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        sys, "stdin", io.TextIOWrapper(io.BytesIO(b'{"prompt": 3}'), encoding="utf-8")
    )
    with pytest.raises(ValueError, match=r"^standard input, line 1: prompt"):
        read_prompts("-")
