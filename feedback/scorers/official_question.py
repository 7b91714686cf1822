"""What judges that were trained on one question are asked: `questions/`, with its NOTICE."""

from __future__ import annotations

from functools import cache
from pathlib import Path

_PLACE = "{text_prompt}"


def official_question(name: str, prompt: str) -> str:
    """`questions/{name}.txt` about a prompt."""
    return about(question_text(name), prompt)


def about(question: str, prompt: str) -> str:
    return question.replace(_PLACE, prompt)


def read_question(file: str | Path, what: str) -> str:
    """A question of the user's own. Raises ValueError for a file that is none."""
    try:
        question = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{what}: {str(file)!r} cannot be read ({error}); give a text") from None
    if _PLACE not in question:
        raise ValueError(f"{what}: {str(file)!r} has no {_PLACE}, where the prompt goes; put it in")
    return question


@cache
def question_text(name: str) -> str:
    file = Path(__file__).parent / "questions" / f"{name}.txt"
    return file.read_bytes().decode("utf-8")
