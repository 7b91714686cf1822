"""Why an image does not show its prompt, as one would say it to somebody who does not know how it
is judged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sipo.feedback.explained.failed_clause import failed_clause
from sipo.feedback.prompts.grammar import number_word, plural
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import Complaint

_UNKNOWN = "unknown"
_PLACED = {"left of": "to the left of", "right of": "to the right of"}


def in_plain_words(prompt: Prompt, complaints: Iterable[Complaint]) -> list[str]:
    """One sentence a complaint, of several judges with the name of who complains."""
    return list(dict.fromkeys(_sentences(prompt, complaints, "")))


def _sentences(prompt: Prompt, complaints: Iterable[Complaint], who: str) -> Iterator[str]:
    for one in complaints:
        if one.kind == "member":
            parts = [part for part in _seen(one) if isinstance(part, Complaint)]
            yield from _sentences(prompt, parts, f"{one.clause}: ")
        else:
            yield who + _sentence(prompt, one)


def _sentence(prompt: Prompt, complaint: Complaint) -> str:
    name, wanted, seen = complaint.clause, complaint.wanted, complaint.seen
    match complaint.kind:
        case "missing":
            return f"no {name} is seen" + ("" if wanted == 1 else f", {_many(wanted)} are asked")
        case "count":
            return f"{_things(seen, name)} seen, {_many(wanted)} asked"
        case "unwanted":
            most = wanted - 1 if isinstance(wanted, int) else wanted
            return f"{_things(seen, name)} seen, {_many(most)} at most asked"
        case "colour":
            return f"the {name} is {_colors(complaint)}, {wanted} is asked"
        case "position":
            there = [_PLACED.get(str(one), str(one)) for one in _seen(complaint)]
            said = " and ".join(there) or "neither beside, above nor below"
            return f"the {name} is {said} {_target(prompt, complaint)}, {wanted} it is asked"
        case "target":
            where = _PLACED.get(str(wanted), str(wanted))
            other = _target(prompt, complaint)
            return f"the {name} cannot be {where} {other}, which is missing or wrong"
        case "question":
            share = f"{seen:.0%}" if isinstance(seen, float | int) else str(seen)
            return f"“{name}” should be answered {wanted}; the judge is {share} sure of that"
        case "score":
            return f"{name} gives {seen:.4g}, under {wanted:g}"
        case "text":
            return f"“{wanted}” is not there; read is {f'“{seen}”' if seen else 'nothing'}"
        case _:
            return str(seen)


def _seen(complaint: Complaint) -> tuple[object, ...]:
    return complaint.seen if isinstance(complaint.seen, tuple) else (complaint.seen,)


def _many(count: object) -> str:
    return number_word(count) if isinstance(count, int) else str(count)


def _things(count: object, name: str) -> str:
    many = "no" if count == 0 else _many(count)
    return f"{many} {name if count == 1 else plural(name)}"


def _colors(complaint: Complaint) -> str:
    """What is there instead, each colour once."""
    others = [str(color) for color in _seen(complaint) if color != complaint.wanted]
    said = ["of no colour that is known" if c == _UNKNOWN else c for c in dict.fromkeys(others)]
    return " and ".join(said) or "of another colour"


def _target(prompt: Prompt, complaint: Complaint) -> str:
    """ "the red dog", by which a clause is placed."""
    number = failed_clause(prompt, complaint)
    position = None if number is None else prompt.include[number].position
    return f"the {prompt.include[position[1]].name}" if position else "the other"
