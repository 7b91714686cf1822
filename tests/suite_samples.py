"""Small files in the formats of suites that ask, made by hand: none of the suites' own rows."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

DPG = [
    # item, text, proposition, dependency, category, question
    ("dogs_1", "Two brown dogs on grass", "1", "0", "entity", "Are there dogs?"),
    ("dogs_1", "Two brown dogs on grass", "2", "1", "attribute", "Are the dogs brown?"),
    ("dogs_1", "Two brown dogs on grass", "3", "0", "entity", "Is there grass?"),
    ("dogs_1", "Two brown dogs on grass", "4", "2, 3", "relation", "Are the brown dogs on grass?"),
    ("rain_2", "Rain, at night", "1", "0", "global", "Is it night?"),
    ("rain_2", "Rain, at night", "2", "0", "entity", "Does it rain?"),
]
"""In the first the relation hangs on the colour, which hangs on the dogs."""

_HEADER = (
    "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
    "question_natural_language"
)


def write_table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def write_lines(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def dpg_csv(folder: Path, rows: Sequence[Sequence[str]] = DPG) -> Path:
    cells = [[i, text, "", n, on, broad, "x", "t", asked] for i, text, n, on, broad, asked in rows]
    return write_table(folder / "dpg_bench.csv", _HEADER.split(","), cells)


def dpg_rows(folder: Path) -> Path:
    """As Hugging Face's rows."""
    by_item: dict[str, dict[str, object]] = {}
    for item, text, n, on, broad, asked in DPG:
        row = by_item.setdefault(item, {"item_id": item, "prompt": text, "questions": []})
        one = {"proposition_id": int(n), "dependency": on, "category_broad": broad}
        row["questions"].append({**one, "question": asked})  # type: ignore[attr-defined]
    return write_lines(folder / "dpg.jsonl", list(by_item.values()))


def geneval2(folder: Path) -> Path:
    asked = [["Are there cats?", "yes"], ["How many cats?", "two"], ["Are they red?", "yes"]]
    rows = [
        {
            "prompt": "two red cats",
            "atom_count": 3,
            "vqa_list": asked,
            "skills": ["object", "count", "attribute"],
        },
        {"prompt": "a yak", "atom_count": 1, "vqa_list": [["A yak?", "yes"]], "skills": []},
    ]
    return write_lines(folder / "geneval2_data.jsonl", rows)


TIIF_ROW = {
    "type": "2d_spatial_relation",
    "short_description": "a cup left of a plate",
    "long_description": "To the left of a plate, which is white, stands a cup.",
    "yn_question_list": ["Is there a cup?", "Is the cup right of the plate?"],
    "yn_answer_list": ["yes", "no"],
}


def tiif(folder: Path) -> Path:
    return write_lines(folder / "2d_spatial_relation_eval_prompts.jsonl", [TIIF_ROW])


def unigenbench(folder: Path, points: Sequence[str] = ("Style", "Attribute - Color")) -> Path:
    said = {
        "Testpoints": list(points),
        "Testpoint Description": ["It is a woodcut.", "The fox is red."],
        "Theme": "animals",
    }
    rows = [["0", "a red fox, woodcut", json.dumps(said)], ["1", "a blue fox", json.dumps(said)]]
    return write_table(folder / "test_prompts_en.csv", ["index", "prompt_en", "sub_dims_en"], rows)


ONEIG = [
    ["General_Object", "000", "a clock and a key", "NP", "short"],
    ["Portrait", "000", "a man who reads", "NP", "short"],
    ["Text_Rendering", "000", "a sign that says OPEN", "NP", "short"],
]
ONEIG_ASKS = {
    "object": {"1": "Is there a clock?", "2": "Is there a key?", "3": "Is the key by the clock?"},
    "human": {"1": "Is there a man?", "2": "Does he read?"},
}
_ONEIG_ON = {"object": {"1": [0], "2": [0], "3": [1, 2]}, "human": {"1": [0], "2": [1]}}


def oneig(folder: Path) -> Path:
    questions = folder / "scripts" / "alignment" / "Q_D"
    questions.mkdir(parents=True)
    for name, asked in ONEIG_ASKS.items():
        entry = {"000": {"question": asked, "dependency": _ONEIG_ON[name]}}
        (questions / f"{name}.json").write_text(json.dumps(entry, indent=1))
    header = ["category", "id", "prompt_en", "type", "prompt_length"]
    return write_table(folder / "OneIG-Bench.csv", header, ONEIG)


def corebench(folder: Path) -> Path:
    value = {
        "001": {"Prompt": "a desk with a lamp", "Checklist": ["Is there a desk?", "And a lamp?"]},
        "002": {
            "Prompt": "a shelf",
            "Checklist": [{"question": "Is there a shelf?", "tags": ["instance"]}],
        },
    }
    path = folder / "C-MI.json"
    path.write_text(json.dumps(value, indent=2))
    return path


def geneval_plus(folder: Path, **more: object) -> Path:
    clauses = [
        {"class": "dog", "count": 2, "color": "red"},
        {"class": "cat", "count": 1, "color": "blue"},
    ]
    rows = [
        {"tag": "color/count", "include": clauses, "prompt": "two red dogs and a blue cat"},
        {"tag": "color", "include": [clauses[1] | more], "prompt": "a blue cat"},
    ]
    return write_lines(folder / "Geneval++.jsonl", rows)
