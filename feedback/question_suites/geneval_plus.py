"""GenEval++: GenEval's rows with tags of its own, and with `region` and `size` in some.

Source: the Echo-4o paper (2025), `Geneval++.jsonl`, which lets a VLM judge them. Assumed: the tags
are the seven kinds of its table, however they are written. What `region` and `size` say is not
known, so a file with rows that have them is refused. For the detector a row gets the GenEval tag of
what its clauses ask, by which thresholds are chosen (ours), and its own tag as its group.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sipo.feedback.question_suites.suite_rows import OwnRows, Row, Rows, listed, text_of

KIND = "GenEval++"
TAGS = {"color", "count", "color/count", "color/pos", "pos/count", "pos/size", "multi/count"}
_MORE = ("region", "size")


def is_file(rows: Sequence[Row]) -> bool:
    """Of rows that have a tag and clauses alone."""
    tags = [re.sub(r"[^a-z]+", "/", str(row.get("tag")).lower()) for row in rows]
    return bool(tags) and all(tag in TAGS for tag in tags)


def own_rows(rows: Rows) -> OwnRows:
    rows = list(rows)
    asking = [where for where, row in rows if _unknown(row)]
    if asking:
        raise ValueError(
            f"{asking[0]}: asks for a region or a size, as {len(asking)} of the {len(rows)} rows "
            f"of this {KIND} file do, and how a detector would check them is not known; take these "
            "rows out, or ask a VLM about them with a file of questions"
        )
    for number, (where, row) in enumerate(rows, 1):
        clauses = listed(row, "include", where, KIND)
        own = {name: value for name, value in row.items() if name not in _MORE}
        own["include"] = [_bare(clause) for clause in clauses]
        own |= {"tag": _tag(clauses), "group": text_of(row, "tag", where, KIND)}
        yield where, own | {"suite": "geneval++", "id": str(number)}


def _unknown(row: Row) -> bool:
    include = row.get("include")
    parts = [row, *(include if isinstance(include, list) else ())]
    return any(isinstance(part, Mapping) and part.get(name) for part in parts for name in _MORE)


def _bare(clause: object) -> object:
    if not isinstance(clause, Mapping):
        return clause
    return {name: value for name, value in clause.items() if name not in _MORE}


def _tag(clauses: Sequence[object]) -> str:
    """Counting first: its threshold is the strictest."""
    asked = [clause for clause in clauses if isinstance(clause, Mapping)]
    if any(clause.get("count") != 1 for clause in asked):
        return "counting"
    if any(clause.get("position") for clause in asked):
        return "position"
    colours = sum(bool(clause.get("color")) for clause in asked)
    if colours:
        return "colors" if len(asked) == 1 else "color_attr"
    return "single_object" if len(asked) == 1 else "two_object"
