"""OneIG-Bench: `OneIG-Bench.csv` (prompts by class and id), and `Q_D/<class>.json` (questions).

    Q_D: {id: {"question": {n: text}, "dependency": {n: [parents]}}}

Source: OneIG-Bench/OneIG-Benchmark, `scripts/alignment` (2025): the answer is always yes, a child
of a "no" is no, and the score is the mean. Either file may be given; the other is looked for where
the repository has it, beside the CSV in `Q_D` or `scripts/alignment/Q_D`.

Assumed: the CSV's column of classes is `category` or `class`, that of texts is `prompt` or begins
with `prompt_` (`prompt_en`; not `prompt_length`), one language a file; a class is called as its
file, or as in `CLASSES`; `Q_D/<class>_<language>.json` is that of the language, where there is one;
the parent 0 is none. Prompts of classes without a file (texts, reasoning) have no questions; they
are left out, and a line says how many.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from sipo.common.files.csv_rows import csv_rows
from sipo.common.files.text import read_json, read_text
from sipo.feedback.question_suites.suite_rows import (
    OwnRows,
    Row,
    Rows,
    counted_from_1,
    parents_of,
    question,
    text_of,
)

KIND = "OneIG-Bench"
TABLE = "OneIG-Bench.csv"
FOLDERS = ("Q_D", "scripts/alignment/Q_D")
CLASSES = {"anime": "anime_stylization", "human": "portrait", "object": "general_object"}
"""File -> what the CSV calls that class, in lower case."""
_CLASS = ("category", "class")
_NOT_TEXT = "prompt_length"


def is_table(columns: Collection[str]) -> bool:
    return "id" in columns and bool(set(_CLASS) & set(columns)) and bool(_texts(columns))


def is_object(value: Mapping[str, object]) -> bool:
    return all(
        isinstance(v, Mapping) and {"question", "dependency"} <= v.keys() for v in value.values()
    )


def own_rows_of_table(path: Path, rows: Rows, only: Path | None = None) -> OwnRows:
    """`only`: one class's file. Raises ValueError where the questions are not there."""
    rows = list(rows)
    if not rows:
        return
    name, language = _text_column(rows[0][1], path)
    folder = _folder(path) if only is None else only.parent
    files = {
        file.stem: file for file in (sorted(folder.glob("*.json")) if only is None else [only])
    }
    read: dict[Path, Mapping[str, object]] = {}
    used: dict[Path, set[str]] = {}
    left: Counter[str] = Counter()
    for where, row in rows:
        stem, file = _file_of(row, files, language)
        if file is None:
            left[stem] += 1
            continue
        number = text_of(row, "id", where, KIND)
        if file not in read:
            read[file], used[file] = read_json(file), set()
        used[file].add(number)
        asked = read[file]
        if number not in asked:
            raise ValueError(f"{where}: {str(file)!r} has no questions of id {number!r}")
        own = {
            "prompt": text_of(row, name, where, KIND),
            "suite": "oneig",
            "id": f"{stem}-{number}",
        }
        questions = _questions(asked[number], f"{file}, {number!r}")
        yield where, {**own, "group": stem, "rule": "dependent", "questions": questions}
    _say_what_is_left(path, folder, files, left, used)
    for file, numbers in used.items():
        if lost := sorted(read[file].keys() - numbers):
            raise ValueError(f"{str(file)!r} asks about id {lost[0]!r}, which {str(path)!r} lacks")


def own_rows_of_object(path: Path) -> OwnRows:
    """Of one class. Raises ValueError where the CSV is not found above it."""
    table = next((up / TABLE for up in path.resolve().parents[1:4] if (up / TABLE).is_file()), None)
    if table is None:
        raise ValueError(
            f"{str(path)!r} has {KIND}'s questions without its prompts; put it into Q_D "
            f"beside {TABLE}"
        )
    rows = csv_rows(table, read_text(table, "prompt file"))
    return own_rows_of_table(table, rows, only=path)


def _texts(columns: Collection[str]) -> list[str]:
    named = [name for name in columns if name == "prompt" or name.startswith("prompt_")]
    return [name for name in named if name != _NOT_TEXT]


def _text_column(row: Row, path: Path) -> tuple[str, str]:
    """(its name, its language, "" where the name says none)."""
    found = _texts(row.keys())
    if len(found) > 1:
        raise ValueError(
            f"{path}: prompts in {' and '.join(found)}; keep the column of one language"
        )
    return found[0], found[0].removeprefix("prompt").removeprefix("_")


def _folder(path: Path) -> Path:
    for name in FOLDERS:
        if (path.parent / name).is_dir():
            return path.parent / name
    raise ValueError(
        f"{str(path)!r} has {KIND}'s prompts without questions; put its folder "
        "scripts/alignment/Q_D beside it"
    )


def _file_of(row: Row, files: Mapping[str, Path], language: str) -> tuple[str, Path | None]:
    """(class, its file); the class as the CSV has it, and None, where there is none."""
    said = [str(row.get(name) or "").strip().lower() for name in _CLASS]
    for stem in sorted({name.removesuffix(f"_{language}") for name in files}):
        if stem in said or CLASSES.get(stem) in said:
            return stem, files.get(f"{stem}_{language}") or files.get(stem)
    return next((name for name in said if name), "no class"), None


def _questions(entry: object, where: str) -> list[dict[str, object]]:
    said = entry if isinstance(entry, Mapping) else {}
    asked, parents = said.get("question"), said.get("dependency")
    if not isinstance(asked, Mapping) or not isinstance(parents, Mapping) or not asked:
        raise ValueError(f"{where}: no question and dependency by number, as {KIND} has them")
    if asked.keys() != parents.keys():
        odd = sorted(asked.keys() ^ parents.keys())
        raise ValueError(f"{where}: question and dependency differ in {odd[0]!r}; mend the file")
    return [
        question(
            counted_from_1(n, where),
            text_of(asked, n, where, KIND),
            parents=parents_of(parents[n], where),
        )
        for n in asked
    ]


def _say_what_is_left(
    path: Path,
    folder: Path,
    files: Mapping[str, Path],
    left: Counter[str],
    used: Mapping[Path, object],
) -> None:
    """Raises ValueError where no prompt has questions."""
    if not used:
        raise ValueError(
            f"no class of {str(path)!r} ({', '.join(left)}) has a file in {str(folder)!r} "
            f"({', '.join(files)}); give the two of one language"
        )
    if left and len(files) > 1:
        said = ", ".join(f"{name} ({count})" for name, count in left.items())
        logging.getLogger(__name__).warning(
            "%s: prompts of classes without questions in %s are left out: %s", path, folder, said
        )
