"""What people answered: a JSONL file that only grows, each line on disk before it counts.

People open such files too: a byte order mark, Windows' line ends, blank lines and a last line
without its end are as good as what we wrote.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import decode_text, split_lines

Answer = dict[str, Any]
TAKEN_BACK = "taken_back"
"""A field that is true in a line after which a question has no answer."""


def append_answer(path: Path, answer: Answer) -> None:
    """Add one line with the time (UTC); returns when it is on the disk.

    A line that a crash cut off was never acknowledged: it gives way to this one.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    stamped = answer | {"time": datetime.now(UTC).isoformat(timespec="seconds")}
    with path.open("a+b") as file:
        file.seek(0)
        written = file.read()
        if written.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ValueError(f"{path} is UTF-16, which no line can be added to; save it as UTF-8")
        end = max(written.rfind(b"\n"), written.rfind(b"\r")) + 1
        whole = _is_answer(written[end:].decode("utf-8-sig", errors="replace"))
        if not whole:
            file.truncate(end)
        file.write((b"\n" if whole else b"") + json.dumps(stamped).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_answers(path: Path, key: str) -> dict[str, Answer]:
    """The last answer to each question, by its field `key`; {} where there is no file yet.

    A question whose answer was taken back has none. Raises ValueError for a line that is no answer,
    other than a last one that was cut off.
    """
    if not path.exists():
        return {}
    text = decode_text(path.read_bytes(), str(path))
    lines = split_lines(text)
    if lines and not text.endswith(("\n", "\r")) and not _is_answer(lines[-1]):
        lines.pop()
    answers: dict[str, Answer] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            answer = parse_json(line, "")
            question = str(answer[key])
        except (ValueError, TypeError, KeyError):
            raise ValueError(
                f"{path}, line {number}: no answer with a {key!r}; take that line out"
            ) from None
        answers.pop(question, None)
        if answer.get(TAKEN_BACK) is not True:
            answers[question] = answer
    return answers


def _is_answer(line: str) -> bool:
    """Whether it is a whole JSON object, which no beginning of one is."""
    try:
        return isinstance(parse_json(line, ""), dict)
    except ValueError:
        return False
