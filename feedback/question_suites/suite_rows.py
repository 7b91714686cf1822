"""What the readers of suites share: a foreign row with its place, and what it says there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

Row = Mapping[str, object]
Rows = Iterable[tuple[str, Row]]
"""("FILE, line N", what stands there)."""
OwnRows = Iterator[tuple[str, dict[str, object]]]
"""The same as rows of ours (feedback/prompts/prompt.py), which are checked where they are read."""


def text_of(row: Row, name: str, where: str, kind: str) -> str:
    """Raises ValueError for a field that is not there, or says nothing."""
    value = row.get(name)
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        said = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise ValueError(f"{where}: {name} of a row of {kind} {said}; write it as a text")
    return str(value).strip()


def listed(row: Row, name: str, where: str, kind: str) -> Sequence[object]:
    """Raises ValueError for what is no list, or an empty one."""
    value = row.get(name)
    if not isinstance(value, list) or not value:
        said = "is missing" if value is None else f"is {str(value)[:40]!r}"
        raise ValueError(f"{where}: {name} of a row of {kind} {said}; give a list of one or more")
    return value


def parallel(row: Row, names: Sequence[str], where: str, kind: str) -> list[list[str]]:
    """The texts of lists that run in parallel, place by place. Raises ValueError for others."""
    lists = {name: listed(row, name, where, kind) for name in names}
    same_length(lists, where)
    pieces = [dict(zip(names, piece, strict=True)) for piece in zip(*lists.values(), strict=True)]
    return [[text_of(piece, name, where, kind) for name in names] for piece in pieces]


def same_length(lists: Mapping[str, Sequence[object]], where: str) -> None:
    """Raises ValueError for lists of a row that should run in parallel and do not."""
    sizes = {name: len(values) for name, values in lists.items()}
    if len(set(sizes.values())) > 1:
        said = ", ".join(f"{count} in {name}" for name, count in sizes.items())
        raise ValueError(f"{where}: lists that belong together differ ({said}); mend the row")


def question(
    name: object,
    text: str,
    answer: str = "yes",
    parents: Sequence[str] = (),
    category: str | None = None,
) -> dict[str, object]:
    """A question as a row of ours has it."""
    row: dict[str, object] = {"id": str(name), "text": text, "answer": answer}
    row |= {"parents": list(parents)} if parents else {}
    return row | ({"category": category} if category else {})


def counted_from_1(number: str, where: str) -> str:
    """Raises ValueError for a question that, as a parent, would be none."""
    if not number.strip("0"):
        raise ValueError(
            f"{where}: a question is number 0, which as a parent is none; count from 1"
        )
    return number


def parents_of(value: object, where: str) -> list[str]:
    """ "1, 2", "0", [1, 2] or 0 -> the ids; 0 is none (Cho et al. 2024: "0" in `dependency`)."""
    found = value if isinstance(value, list) else str(value).split(",")
    ids = [str(one).strip() for one in found]
    if bad := [one for one in ids if not (one.isascii() and one.isdecimal())]:
        raise ValueError(
            f"{where}: dependency {str(value)[:40]!r} has {bad[0][:20]!r}, which is no number of a "
            "question; write 0 for none"
        )
    return list(dict.fromkeys(one for one in ids if one.strip("0")))
