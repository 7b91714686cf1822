"""DPG-Bench and DSG-1k: a CSV of one question a row, or Hugging Face's rows of one prompt each.

    item_id, text, keywords, proposition_id, dependency, category_broad, category_detailed, tuple,
    question_natural_language
    {"item_id", "prompt", "questions": [{"proposition_id", "dependency", "category_*", "question"}]}

Source: j-min/DSG (Cho et al. 2024) and ELLA's `dpg_bench` (Hu et al. 2024), whose CSVs have the
same columns; Jialuo21/DPG-Bench. The answer is always yes; a child of a "no" is no. A question's
category is `category_broad`. Left out: `keywords`, `tuple`, `category_detailed`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sipo.feedback.question_suites.suite_rows import (
    OwnRows,
    Row,
    Rows,
    counted_from_1,
    listed,
    parents_of,
    question,
    text_of,
)

KIND = "DPG-Bench or DSG-1k"
COLUMNS = {"item_id", "text", "proposition_id", "dependency", "question_natural_language"}


def is_row(row: Row) -> bool:
    return "item_id" in row and "questions" in row


def own_rows(rows: Rows) -> OwnRows:
    for where, row in rows:
        asked = listed(row, "questions", where, KIND)
        questions = [_question(one, "question", where) for one in asked]
        yield where, _prompt(text_of(row, "item_id", where, KIND), row, "prompt", where, questions)


def own_rows_of_table(path: Path, rows: Rows) -> OwnRows:
    """Rows of one item follow each other. The file's name alone tells the two suites apart."""
    suite = "dsg" if "dsg" in path.stem.lower() else "dpg"
    places: dict[str, str] = {}
    prompts: dict[str, dict[str, object]] = {}
    questions: dict[str, list[dict[str, object]]] = {}
    last = None
    for where, row in rows:
        item, text = (text_of(row, name, where, KIND) for name in ("item_id", "text"))
        if item != last and item in prompts:
            raise ValueError(f"{where}: item_id {item!r} was there before; keep its rows together")
        if item not in prompts:
            places[item], questions[item] = where, []
            prompts[item] = _prompt(item, row, "text", where, questions[item])
        if prompts[item]["prompt"] != text:
            raise ValueError(f"{where}: item_id {item!r} has another text than in {places[item]}")
        asked = _question(row, "question_natural_language", where)
        if asked["id"] in [one["id"] for one in questions[item]]:
            raise ValueError(
                f"{where}: proposition_id {asked['id']} of item_id {item!r} is there twice"
            )
        questions[item].append(asked)
        last = item
    for item, own in prompts.items():
        yield places[item], own | {"suite": suite}


def _prompt(
    item: str, row: Row, text: str, where: str, questions: list[dict[str, object]]
) -> dict[str, object]:
    own = {"prompt": text_of(row, text, where, KIND), "suite": "dpg", "id": item}
    return {**own, "rule": "dependent", "questions": questions}


def _question(row: object, text: str, where: str) -> dict[str, object]:
    if not isinstance(row, Mapping):
        raise ValueError(f"{where}: a question of {KIND} is {str(row)[:40]!r}; give an object")
    broad = row.get("category_broad")
    return question(
        counted_from_1(text_of(row, "proposition_id", where, KIND), where),
        text_of(row, text, where, KIND),
        parents=parents_of(row.get("dependency"), where),
        category=str(broad).strip() if broad else None,
    )
