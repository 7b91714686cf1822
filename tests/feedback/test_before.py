"""The picture that an edit starts from: where a prompt file says it, and what it is known by."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from sipo.backbones.seeds import image_seed
from sipo.datagen.generation.prompts import check_pictures, without_repeats
from sipo.feedback.prompts import before
from sipo.feedback.prompts.prompt import Prompt, plain_text, prompt_of, read_prompts


def saved(path: Path, color: str, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, kind)
    path.write_bytes(buffer.getvalue())
    return buffer.getvalue()


def read(folder: Path, *rows: object) -> list[Prompt]:
    file = folder / "prompts.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return read_prompts(file)


@pytest.mark.parametrize(("kind", "suffix"), [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")])
def test_a_path_beside_the_file_becomes_the_picture(tmp_path: Path, kind: str, suffix: str) -> None:
    data = saved(tmp_path / "cat", "red", kind)
    [prompt] = read(tmp_path, {"prompt": "make it blue", "before": "cat"})
    assert prompt.before is not None
    assert (prompt.before.file, prompt.before.suffix) == (data, suffix)
    assert prompt.before.sha256 == hashlib.sha256(data).hexdigest()
    assert prompt.before.picture().size == (8, 8)
    [again] = read(tmp_path / "..", json.loads(prompt.to_line()))  # no path: it is all there
    assert (again, again.before and again.before.file) == (prompt, data)


def test_rows_name_it_by_its_hash(tmp_path: Path) -> None:
    saved(tmp_path / "cat.png", "red")
    clause = {"tag": "single_object", "include": [{"class": "cat", "count": 1}]}
    for row in ({"prompt": "a"}, {"prompt": "a", **clause}):
        [prompt] = read(tmp_path, {**row, "before": "cat.png"})
        name = prompt.to_row()["before"]
        assert name == f"sha256:{prompt.before and prompt.before.sha256}"
        known = prompt_of(prompt.to_row(), "row")
        assert known == prompt
        with pytest.raises(ValueError, match="is not with its prompt"):
            known.before and known.before.picture()
        assert json.loads(prompt.model_dump_json())["before"] == name


def test_its_content_tells_prompts_apart_and_its_path_does_not(tmp_path: Path) -> None:
    for name, color in (("one.png", "red"), ("same.png", "red"), ("other.png", "blue")):
        saved(tmp_path / name, color)
    names = ("one.png", "same.png", "other.png")
    one, same, other = read(tmp_path, *({"prompt": "a", "before": name} for name in names))
    plain = plain_text("a")
    assert one == same
    assert without_repeats([one, same, other, plain]) == [one, other, plain]
    assert len({prompt.meaning() for prompt in (one, same, other, plain)}) == 3
    assert len({image_seed(0, prompt.key, 0) for prompt in (one, other, plain)}) == 3


def test_a_prompt_without_one_is_as_before() -> None:
    plain = plain_text("a")
    assert plain.key == "a"
    assert plain.to_line() == plain.to_json() == '{"tag": "text", "include": [], "prompt": "a"}'
    assert "before" not in plain.model_dump_json()


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("gone.png", r"line 1: before 'gone.png' cannot be read \(there is no such file\); paths"),
        ("note.txt", "before 'note.txt' is no picture to begin with: it is no PNG, JPEG or WebP"),
        ("cut.png", "before 'cut.png' is no picture to begin with: .* is unreadable: damaged"),
        (".", r"before '\.' cannot be read \(Is a directory\)"),
        ("large.png", "large.png' is no picture to begin with: 0.1 MiB are more than 0; save it"),
        (3, "line 1: before: a picture is a path in a prompt file"),
        ("data:image/png;base64,AAAA", "before: data: of a picture holds no PNG, JPEG or WebP"),
        ("data:image/png;base64,?", "before: data: of a picture holds no PNG, JPEG or WebP"),
    ],
)
def test_what_is_no_picture_is_refused(
    tmp_path: Path, value: object, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "note.txt").write_text("a cat", encoding="utf-8")
    (tmp_path / "cut.png").write_bytes(saved(tmp_path / "whole.png", "red")[:60])
    (tmp_path / "large.png").write_bytes(bytes(100_000))
    monkeypatch.setattr(before, "MOST_BYTES", 50_000)
    with pytest.raises(ValueError, match=says):
        read(tmp_path, {"prompt": "a", "before": value})


def test_a_path_that_came_from_elsewhere_is_never_opened(tmp_path: Path) -> None:
    """A service is sent rows by strangers."""
    saved(tmp_path / "cat.png", "red")
    with pytest.raises(ValueError, match="a picture is a path in a prompt file"):
        prompt_of({"prompt": "a", "before": str(tmp_path / "cat.png")}, "rows[0]")


def test_all_prompts_have_one_or_none_has(tmp_path: Path) -> None:
    saved(tmp_path / "cat.png", "red")
    prompts = read(tmp_path, {"prompt": "a", "before": "cat.png"}, {"prompt": "b"})
    with pytest.raises(ValueError, match=r"1 of 2 prompts have a picture \(before\); give those"):
        check_pictures(prompts)
    with pytest.raises(ValueError, match="a picture's hash alone; give a path or the picture"):
        check_pictures([prompt_of(prompts[0].to_row(), "row")])
    check_pictures(prompts[:1])
    check_pictures(prompts[1:])
