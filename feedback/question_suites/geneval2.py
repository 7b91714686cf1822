"""GenEval 2's rows: {"prompt", "atom_count", "vqa_list": [[question, answer], ...], "skills"}.

Source: facebookresearch/GenEval2, `geneval2_data.jsonl` (Kamath et al. 2025), which scores whole
prompts by the geometric mean. Prompts have no id there: it is the number of the row. Groups are by
`atom_count`. Assumed: `skills` as long as `vqa_list` names the skill of each question; any other
`skills` is left out.
"""

from __future__ import annotations

from sipo.feedback.question_suites.suite_rows import OwnRows, Row, Rows, listed, question, text_of

KIND = "GenEval 2"


def is_row(row: Row) -> bool:
    return "vqa_list" in row


def own_rows(rows: Rows) -> OwnRows:
    for number, (where, row) in enumerate(rows, 1):
        asked = listed(row, "vqa_list", where, KIND)
        skills = row.get("skills")
        parallel = isinstance(skills, list) and len(skills) == len(asked)
        questions = []
        for n, pair in enumerate(asked):
            if not isinstance(pair, list) or len(pair) != 2:
                raise ValueError(
                    f"{where}: vqa_list has {str(pair)[:40]!r}; give [question, answer]"
                )
            said = dict(zip(("question", "answer"), pair, strict=True))
            text, answer = (text_of(said, name, where, KIND) for name in said)
            skill = str(skills[n]) if parallel else None  # type: ignore[index]
            questions.append(question(n + 1, text, answer, category=skill))
        own: dict[str, object] = {"prompt": text_of(row, "prompt", where, KIND)}
        own |= {"suite": "geneval2", "id": str(number)}
        if "atom_count" in row:
            own["group"] = f"{text_of(row, 'atom_count', where, KIND)} atoms"
        yield where, own | {"rule": "geometric", "questions": questions}
