"""Results of evaluations, ours and others'."""

import json
from pathlib import Path
from typing import Any

from hypothesis import given
from mutations import damaged, json_files, lines_of
from outcome import outcome

from sipo.common.files.text import read_json
from sipo.feedback.listed_images import read_listed
from sipo.geneval.results import read_rows
from sipo.geneval.vbench.export_clips import read_list
from sipo.geneval.vbench.score_files import read_results

ROW: dict[str, Any] = {
    "filename": "00000/samples/0000.png",
    "tag": "counting",
    "prompt": "two dogs",
    "correct": True,
    "reason": "",
    "metadata": json.dumps({"tag": "counting", "include": [{"class": "dog", "count": 2}]}),
    "details": "{}",
}


@given(data=lines_of([ROW] * 3))
def test_rows(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "results.jsonl"
    path.write_bytes(data)
    outcome(lambda: read_rows(path), "results.jsonl")


@given(data=json_files({"judge": {"id": "fake"}, "seed": 0}))
def test_the_settings_an_evaluation_remembers(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(data)
    outcome(lambda: read_json(path), "config.json")


CLIP = {"video_path": "a dog-0.mp4", "video_results": 0.5}


@given(data=json_files({"subject_consistency": [0.9, [CLIP]], "dynamic_degree": [0.5, [CLIP]]}))
def test_vbench_results(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "run_eval_results.json"
    path.write_bytes(data)
    outcome(lambda: read_results([path]), "run_eval_results.json")


@given(data=json_files([{"prompt_en": "a dog", "dimension": ["scene"]}]))
def test_vbench_lists(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "info.json"
    path.write_bytes(data)
    outcome(lambda: read_list(path), "info.json", "prompt")


@given(data=damaged(b"a dog\ntwo cats\r\n"))
def test_vbench_texts(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(data)
    outcome(lambda: read_list(path), "prompts.txt", "prompt")


LISTED = {"image": "a.png", "prompt": "two dogs"}


@given(data=lines_of([LISTED, {"filename": "b.png", "metadata": ROW["metadata"]}]))
def test_lists_of_images(tmp_path: Path, data: bytes) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).touch()
    path = tmp_path / "images.jsonl"
    path.write_bytes(data)
    outcome(lambda: read_listed(path), "images.jsonl")


@given(data=damaged(b"image;prompt\na.png;two dogs\n'b.png';\"a; red\"\n"))
def test_tables_of_images(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").touch()
    path = tmp_path / "images.csv"
    path.write_bytes(data)
    outcome(lambda: read_listed(path), "images.csv")
