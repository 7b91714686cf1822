"""GenEval's prompt templates: from what is asked to the text that asks it.

Source: djghosh13/geneval, `prompts/create_prompts.py` (MIT); its plural ("es" only after "s")
is kept, so that our texts and the official ones are one distribution.
"""

from __future__ import annotations

from typing import cast

from sipo.feedback.prompts.clause import Clause, Color, Relation
from sipo.feedback.prompts.prompt import Prompt

NUMBER_WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
)


def number_word(count: int) -> str:
    """ "two"; over ten in digits."""
    return NUMBER_WORDS[count] if count < len(NUMBER_WORDS) else str(count)


def article(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def plural(noun: str) -> str:
    return noun + ("es" if noun.endswith("s") else "s")


def single_object(name: str) -> Prompt:
    return _prompt("single_object", [_one(name)], article(name))


def two_object(first: str, second: str) -> Prompt:
    text = f"{article(first)} and {article(second)}"
    return _prompt("two_object", [_one(first), _one(second)], text)


def counting(name: str, count: int) -> Prompt:
    text = f"{number_word(count)} {plural(name)}"
    exclude = (Clause(class_name=name, count=count + 1),)
    return _prompt("counting", [Clause(class_name=name, count=count)], text, exclude)


def colors(name: str, color: str) -> Prompt:
    return _prompt("colors", [_one(name, color)], article(f"{color} {name}"))


def position(subject: str, relation: str, target: str) -> Prompt:
    placed = Clause(class_name=subject, count=1, position=(cast(Relation, relation), 0))
    text = f"{article(subject)} {relation} {article(target)}"
    return _prompt("position", [_one(target), placed], text)


def color_attr(first: str, first_color: str, second: str, second_color: str) -> Prompt:
    text = f"{article(f'{first_color} {first}')} and {article(f'{second_color} {second}')}"
    return _prompt("color_attr", [_one(first, first_color), _one(second, second_color)], text)


def _one(name: str, color: str | None = None) -> Clause:
    return Clause(class_name=name, count=1, color=cast("Color | None", color))


def _prompt(tag: str, include: list[Clause], text: str, exclude: tuple[Clause, ...] = ()) -> Prompt:
    return Prompt.model_validate(
        {"tag": tag, "include": include, "exclude": exclude, "text": f"a photo of {text}"}
    )
