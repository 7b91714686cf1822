"""TIIF-Bench: `test_eval_prompts/<type>_eval_prompts.jsonl`, or `test_prompts` without questions.

    {"type", "short_description", "long_description", "yn_question_list", "yn_answer_list"}

Source: TIIF-Bench (2025), its repository. Its tables have a column for short and one for long
descriptions, so a row is two prompts, of group "short" and "long", with the same questions, whose
category is the `type`. Answers are compared, so the score is the share of right ones. Rows have no
id: it is the type, the number of the row and the length.
"""

from __future__ import annotations

from sipo.feedback.question_suites.suite_rows import (
    OwnRows,
    Row,
    Rows,
    parallel,
    question,
    text_of,
)

KIND = "TIIF"
LENGTHS = ("short", "long")
_ASKED = ("yn_question_list", "yn_answer_list")


def is_row(row: Row) -> bool:
    return all(f"{length}_description" in row for length in LENGTHS)


def own_rows(rows: Rows) -> OwnRows:
    """Raises ValueError for a file in which some rows have questions and some not."""
    rows = list(rows)
    asks = any(name in row for _, row in rows for name in _ASKED)
    for number, (where, row) in enumerate(rows, 1):
        kind = text_of(row, "type", where, KIND)
        own: dict[str, object] = {"suite": "tiif", "rule": "arithmetic"}
        own |= {"questions": _questions(row, kind, where)} if asks else {}
        for length in LENGTHS:
            text = text_of(row, f"{length}_description", where, KIND)
            names = {"id": f"{kind}-{number}-{length}", "group": length}
            yield where, {"tag": "text", "include": [], "prompt": text, **own, **names}


def _questions(row: Row, kind: str, where: str) -> list[dict[str, object]]:
    return [
        question(number, text, answer, category=kind)
        for number, (text, answer) in enumerate(parallel(row, _ASKED, where, KIND), 1)
    ]
