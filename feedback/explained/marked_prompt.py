"""The prompt's text in pieces: those that an image fails, and the rest."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from sipo.feedback.explained.failed_clause import failed_clause, single_complaints
from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.grammar import NUMBER_WORDS, plural
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import Complaint

_NUMBERS = "|".join(("an?", "the", *NUMBER_WORDS, r"\d+"))


class Piece(NamedTuple):
    text: str
    failed: bool


def marked_prompt(prompt: Prompt, complaints: Iterable[Complaint]) -> list[Piece]:
    """In order; together they are the text. Nothing is marked where its words are not found."""
    failed = [False] * len(prompt.text)
    for complaint in single_complaints(complaints):
        start, end = _span(prompt, complaint)
        failed[start:end] = [True] * (end - start)
    pieces: list[Piece] = []
    for letter, bad in zip(prompt.text, failed, strict=True):
        if pieces and pieces[-1].failed == bad:
            pieces[-1] = Piece(pieces[-1].text + letter, bad)
        else:
            pieces.append(Piece(letter, bad))
    return pieces


def marks_in(prompt: Prompt, complaints: Iterable[Complaint]) -> list[tuple[int, int]]:
    """[start, end) of the failed pieces, as JavaScript counts letters (UTF-16)."""
    found, at = [], 0
    for piece in marked_prompt(prompt, complaints):
        end = at + len(piece.text.encode("utf-16-le")) // 2
        if piece.failed:
            found.append((at, end))
        at = end
    return found


def _span(prompt: Prompt, complaint: Complaint) -> tuple[int, int]:
    """Of the words a complaint is of; (0, 0) where there are none."""
    number = failed_clause(prompt, complaint)
    if number is None:
        return 0, 0
    clause = prompt.include[number]
    if complaint.kind in ("position", "target"):
        return _found(re.escape(str(complaint.wanted)), prompt.text)
    return _found(_words(clause), prompt.text)


def _words(clause: Clause) -> str:
    """ "two red dogs", as far as the text has it."""
    names = "|".join(map(re.escape, (plural(clause.class_name), clause.class_name)))
    color = f"{clause.color} " if clause.color else ""
    return rf"((?:{_NUMBERS}) )?{color}(?:{names})"


def _found(words: str, text: str) -> tuple[int, int]:
    match = re.search(rf"\b(?:{words})\b", text, re.IGNORECASE)
    return match.span() if match else (0, 0)
