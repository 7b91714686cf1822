"""T2I-CoReBench: `<task>.json`, {id: {"Prompt": text, "Checklist": [...]}} (C-MA ... R-RR).

Source: T2I-CoReBench (2025), its data's files. The answer is always yes, and the score the share of
them; the suite tells its judge that what is ambiguous is a no, which no question here says.
Assumed, for we know no more of it: the list's name may be written small; an entry is a text, or an
object with "question" and perhaps "tags", of which the first is the category. Any other entry is
refused. Other keys beside the prompt are not read. The group is the task, by the file's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sipo.feedback.question_suites.suite_rows import OwnRows, Row, listed, question, text_of

KIND = "T2I-CoReBench"
_LISTS = ("Checklist", "checklist")


def is_object(value: Mapping[str, object]) -> bool:
    return all(isinstance(one, Mapping) and "Prompt" in one for one in value.values())


def own_rows_of_object(path: Path, value: Mapping[str, Row]) -> OwnRows:
    for name, row in value.items():
        where = f"{path}, {name!r}"
        key = next((one for one in _LISTS if one in row), _LISTS[0])
        asked = listed(row, key, where, KIND)
        questions = [_question(number, one, where) for number, one in enumerate(asked, 1)]
        own = {"prompt": text_of(row, "Prompt", where, KIND), "suite": "corebench"}
        own |= {
            "id": name if name.startswith(path.stem) else f"{path.stem}-{name}",
            "group": path.stem,
            "rule": "arithmetic",
        }
        yield where, {**own, "questions": questions}


def _question(number: int, said: object, where: str) -> dict[str, object]:
    row = said if isinstance(said, Mapping) else {"question": said}
    if unknown := [name for name in row if name not in ("question", "tags")]:
        raise ValueError(
            f"{where}: entry {number} of the checklist has {unknown[0]!r}, which is not known "
            'here; give a text, or {"question": ..., "tags": [...]}'
        )
    tags = row.get("tags")
    first = tags[0] if isinstance(tags, list) and tags else tags
    text = text_of(row, "question", where, KIND)
    return question(number, text, category=first if isinstance(first, str) else None)
