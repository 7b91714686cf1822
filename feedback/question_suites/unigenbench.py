"""UniGenBench++'s CSV: index, prompt_<language>, sub_dims_<language>.

`sub_dims` is JSON with "Testpoints" and "Testpoint Description", lists in parallel; its other keys
are not read. Source: UniGenBench++ (2025), `test_prompts_en.csv`. Its judge gives all test points
of an image 0 or 1 at once, so there are no questions; here each is one, worded by us, its category
the test point's name. The score is the share of test points that are met. Assumed: names and
descriptions are texts, one description for each name.
"""

from __future__ import annotations

from collections.abc import Collection

from sipo.common.files.strict_json import parse_json
from sipo.feedback.question_suites.suite_rows import (
    OwnRows,
    Row,
    Rows,
    parallel,
    question,
    text_of,
)

KIND = "UniGenBench++"
_POINTS = ("Testpoints", "Testpoint Description")


def is_table(columns: Collection[str]) -> bool:
    return "index" in columns and any(name.startswith("sub_dims_") for name in columns)


def own_rows_of_table(rows: Rows) -> OwnRows:
    for where, row in rows:
        language = _language(row, where)
        text = text_of(row, f"prompt_{language}", where, KIND)
        points = _points(text_of(row, f"sub_dims_{language}", where, KIND), where)
        questions = [
            question(number, _worded(text, name, description), category=name)
            for number, (name, description) in enumerate(points, 1)
        ]
        own = {"prompt": text, "suite": "unigenbench", "id": text_of(row, "index", where, KIND)}
        yield where, {**own, "rule": "arithmetic", "questions": questions}


def _worded(text: str, name: str, description: str) -> str:
    return f'The image was made for "{text}". Does it meet this demand ({name})? {description}'


def _language(row: Row, where: str) -> str:
    found = [name.removeprefix("sub_dims_") for name in row if name.startswith("sub_dims_")]
    if len(found) > 1:
        raise ValueError(
            f"{where}: columns of {len(found)} languages ({', '.join(found)}); keep one"
        )
    return found[0]


def _points(text: str, where: str) -> list[list[str]]:
    said = parse_json(text, f"{where}, sub_dims")
    if not isinstance(said, dict):
        raise ValueError(f"{where}: sub_dims is no JSON object; give {' and '.join(_POINTS)}")
    return parallel(said, _POINTS, where, KIND)
