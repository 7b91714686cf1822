"""A prompt as atomic questions with their right answers, for a judge that reads images.

After GenEval 2 (Kamath et al. 2025, "Soft-TIFA"): each question asks one thing, is answered in one
word, and counts with the probability of the right one. The wording here is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.grammar import NUMBER_WORDS, article, number_word, plural
from sipo.feedback.prompts.prompt import Prompt, read_prompts
from sipo.feedback.prompts.question import Question

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

WORDING = 1
"""Of the questions below: a judge that names it is another one when they are put otherwise."""

_PLACED = {"left of": "to the left of", "right of": "to the right of"}


Asked = tuple[str, str]
"""(question, right answer)."""


def atoms_of(prompt: Prompt) -> tuple[Question, ...]:
    """Per clause: is it there, how many (where the prompt counts), its colour, its place.

    Then, is what is excluded not there. Of an edit in plain text: is it done, and is all else as it
    was. () for any other plain text.
    """
    if prompt.before is not None and not prompt.include:
        return _edit_questions(prompt.text)
    asked = [atom for clause in prompt.include for atom in _clause_atoms(clause, prompt)]
    asked += [atom for clause in prompt.exclude for atom in _absence_atoms(clause, prompt)]
    return tuple(
        Question(id=str(number), text=text, answer=answer)
        for number, (text, answer) in enumerate(dict.fromkeys(asked), 1)
    )


def _edit_questions(text: str) -> tuple[Question, ...]:
    """What VIEScore asks of an edit: whether it succeeded, and whether too much was edited (Ku et
    al. 2024, "semantic consistency"); as one question each."""
    asked = f'The edit that was asked for: "{text}".'
    return (
        Question(id="done", text=f"{asked} Does the image after the edit show it done?"),
        Question(id="kept", text=f"{asked} Is everything else as it was before the edit?"),
    )


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


def read_questions(path: str | Path) -> Mapping[str, Prompt]:
    """Prompt text -> the prompt with its questions, from a file of any suite.

    Raises ValueError for a prompt without questions, and for one text with two sets of them.
    """
    if not Path(path).is_file():
        raise ValueError(f"judge setting questions={str(path)!r} is no file; give a suite's")
    table: dict[str, Prompt] = {}
    for prompt in read_prompts(path):
        said = f"{str(path)!r} (judge setting questions)"
        if not prompt.questions:
            raise ValueError(f"{said} has no questions for {prompt.text[:80]!r}; write them")
        other = table.setdefault(prompt.text.strip(), prompt)
        if other.questions != prompt.questions:
            raise ValueError(f"{said} asks {prompt.text[:80]!r} in two ways; keep one")
    return table


def _clause_atoms(clause: Clause, prompt: Prompt) -> list[Asked]:
    if _is_shared(clause, prompt):
        return _shared_atoms(clause, prompt)
    name = clause.class_name
    thing, verb = (f"the {name}", "Is") if clause.count == 1 else (f"the {plural(name)}", "Are")
    atoms = [(f"Does the image show any {plural(name)}?", "yes")]
    if clause.count > 1 or prompt.tag == "counting":
        many = f"How many {plural(name)} does the image show?"
        atoms.append((many, number_word(clause.count)))
    if clause.color:
        atoms.append((f"{verb} {thing} {clause.color}?", "yes"))
    if clause.position:
        relation, target = clause.position
        other = _named(prompt.include[target], prompt)
        atoms.append((f"{verb} {thing} {_PLACED.get(relation, relation)} {other}?", "yes"))
    return atoms


def _shared_atoms(clause: Clause, prompt: Prompt) -> list[Asked]:
    """Of a class that several clauses ask for, where "the dog" would be any of them."""
    name = clause.name
    if clause.color:
        count = clause.count
    else:
        count = sum(c.count for c in prompt.include if c.class_name == clause.class_name)
    atoms = [(f"Does the image show any {plural(name)}?", "yes")]
    if count > 1:
        least = f"{number_word(count)} or more"
        atoms.append((f"Does the image show {least} {plural(name)}?", "yes"))
    if clause.position:
        relation, target = clause.position
        one = article(name) if clause.count == 1 else f"{number_word(clause.count)} {plural(name)}"
        other = _named(prompt.include[target], prompt)
        where = f"{_PLACED.get(relation, relation)} {other}"
        atoms.append((f"{'Is' if clause.count == 1 else 'Are'} {one} {where}?", "yes"))
    return atoms


def _absence_atoms(clause: Clause, prompt: Prompt) -> list[Asked]:
    """What "How many ...?" asks already, as in all official prompts, is not asked again."""
    name = clause.name
    same = [c for c in prompt.include if c.class_name == clause.class_name]
    counted = len(same) == 1 and (same[0].count > 1 or prompt.tag == "counting")
    if counted and not clause.color and same[0].count + 1 == clause.count:
        return []
    if clause.count == 1:
        return [(f"Does the image show any {plural(name)}?", "no")]
    least = f"{number_word(clause.count)} or more"
    return [(f"Does the image show {least} {plural(name)}?", "no")]


def _is_shared(clause: Clause, prompt: Prompt) -> bool:
    return [c.class_name for c in prompt.include].count(clause.class_name) > 1


def _named(clause: Clause, prompt: Prompt) -> str:
    """The thing that another is placed by."""
    if not _is_shared(clause, prompt):
        return f"the {clause.class_name}"
    if clause.color:
        return f"the {clause.color} {clause.class_name}"
    return f"another {clause.class_name}"
