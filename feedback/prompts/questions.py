"""A prompt as atomic questions with their right answers, for a judge that reads images.

After GenEval 2 (Kamath et al. 2025, "Soft-TIFA"): each question asks one thing, is answered in one
word, and counts with the probability of the right one. The wording here is ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.common.files.strict_json import parse_json
from sipo.common.files.text import numbered_lines, read_text
from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.grammar import NUMBER_WORDS, article, number_word, plural
from sipo.feedback.prompts.prompt import Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WORDING = 1
"""Of the questions below: a judge that names it is another one when they are put otherwise."""

_PLACED = {"left of": "to the left of", "right of": "to the right of"}


@dataclass(frozen=True)
class Atom:
    question: str
    answer: str


def atoms_of(prompt: Prompt) -> tuple[Atom, ...]:
    """Per clause: is it there, how many (where the prompt counts), its colour, its place.

    Then, is what is excluded not there. () for a plain text.
    """
    atoms = [atom for clause in prompt.include for atom in _clause_atoms(clause, prompt)]
    atoms += [atom for clause in prompt.exclude for atom in _absence_atoms(clause, prompt)]
    return tuple(dict.fromkeys(atoms))


def accepted(answer: str) -> tuple[str, ...]:
    """The ways to write an answer: capital or not, with a space before, a number in digits."""
    lower = answer.strip().lower()
    words = [lower, lower.capitalize()]
    if lower in NUMBER_WORDS:
        words.append(str(NUMBER_WORDS.index(lower)))
    return tuple(dict.fromkeys(space + word for word in words for space in ("", " ")))


def first_tokens(tokenizer: PreTrainedTokenizerBase, answer: str) -> tuple[int, ...]:
    """The tokens that are an accepted answer whole, each once.

    A way to write it that takes several (" 2" as a space and a digit) is left out: it would count
    every answer that begins so. Where all ways take several, the first token of the first.
    """
    ways = [tokenizer.encode(way, add_special_tokens=False) for way in accepted(answer)]
    whole = {way[0] for way in ways if len(way) == 1}
    return tuple(sorted(whole or {ways[0][0]}))


def means(chances: Sequence[float]) -> dict[str, float]:
    """`arithmetic`: the share of atoms that hold. `geometric`: near 0 as soon as one fails, so it

    ranks whole prompts.
    """
    count = len(chances)
    return {"arithmetic": sum(chances) / count, "geometric": math.prod(chances) ** (1 / count)}


def read_questions(path: str | Path) -> Mapping[str, tuple[Atom, ...]]:
    """Prompt text -> atoms, from JSONL rows like GenEval 2's {"prompt", "vqa_list": [[q, a]]}.

    Raises ValueError that names file and line of the first bad row.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"judge setting questions={str(path)!r} is no file; give JSONL rows")
    table: dict[str, tuple[Atom, ...]] = {}
    for where, line in numbered_lines(read_text(path, "file of questions"), path):
        row = parse_json(line, where)
        try:
            prompt = row["prompt"].strip()
            atoms = tuple(Atom(_said(q), _said(a)) for q, a in row["vqa_list"])
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ValueError(
                f"{where}: no question row; one looks like "
                '{"prompt": "two dogs", "vqa_list": [["How many dogs are there?", "two"]]}'
            ) from None
        if not atoms:
            raise ValueError(f"{where}: vqa_list is empty; give it a question")
        if table.setdefault(prompt, atoms) != atoms:
            raise ValueError(f"{where}: asks {prompt[:80]!r} other questions than before; keep one")
    return table


def _said(value: object) -> str:
    """A question, or an answer, which may be a number. Raises ValueError for what says nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int) or not str(value).strip():
        raise ValueError
    return str(value)


def _clause_atoms(clause: Clause, prompt: Prompt) -> list[Atom]:
    if _is_shared(clause, prompt):
        return _shared_atoms(clause, prompt)
    name = clause.class_name
    thing, verb = (f"the {name}", "Is") if clause.count == 1 else (f"the {plural(name)}", "Are")
    atoms = [Atom(f"Does the image show any {plural(name)}?", "yes")]
    if clause.count > 1 or prompt.tag == "counting":
        many = f"How many {plural(name)} does the image show?"
        atoms.append(Atom(many, number_word(clause.count)))
    if clause.color:
        atoms.append(Atom(f"{verb} {thing} {clause.color}?", "yes"))
    if clause.position:
        relation, target = clause.position
        other = _named(prompt.include[target], prompt)
        atoms.append(Atom(f"{verb} {thing} {_PLACED.get(relation, relation)} {other}?", "yes"))
    return atoms


def _shared_atoms(clause: Clause, prompt: Prompt) -> list[Atom]:
    """Of a class that several clauses ask for, where "the dog" would be any of them."""
    name = clause.name
    if clause.color:
        count = clause.count
    else:
        count = sum(c.count for c in prompt.include if c.class_name == clause.class_name)
    atoms = [Atom(f"Does the image show any {plural(name)}?", "yes")]
    if count > 1:
        least = f"{number_word(count)} or more"
        atoms.append(Atom(f"Does the image show {least} {plural(name)}?", "yes"))
    if clause.position:
        relation, target = clause.position
        one = article(name) if clause.count == 1 else f"{number_word(clause.count)} {plural(name)}"
        other = _named(prompt.include[target], prompt)
        where = f"{_PLACED.get(relation, relation)} {other}"
        atoms.append(Atom(f"{'Is' if clause.count == 1 else 'Are'} {one} {where}?", "yes"))
    return atoms


def _absence_atoms(clause: Clause, prompt: Prompt) -> list[Atom]:
    """What "How many ...?" asks already, as in all official prompts, is not asked again."""
    name = clause.name
    same = [c for c in prompt.include if c.class_name == clause.class_name]
    counted = len(same) == 1 and (same[0].count > 1 or prompt.tag == "counting")
    if counted and not clause.color and same[0].count + 1 == clause.count:
        return []
    if clause.count == 1:
        return [Atom(f"Does the image show any {plural(name)}?", "no")]
    least = f"{number_word(clause.count)} or more"
    return [Atom(f"Does the image show {least} {plural(name)}?", "no")]


def _is_shared(clause: Clause, prompt: Prompt) -> bool:
    return [c.class_name for c in prompt.include].count(clause.class_name) > 1


def _named(clause: Clause, prompt: Prompt) -> str:
    """The thing that another is placed by."""
    if not _is_shared(clause, prompt):
        return f"the {clause.class_name}"
    if clause.color:
        return f"the {clause.color} {clause.class_name}"
    return f"another {clause.class_name}"
