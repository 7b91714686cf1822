"""Why an image does not show what is asked: data, and English where somebody reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "missing",  # none of a class is seen
    "count",  # too few are
    "colour",
    "position",
    "target",  # what it is placed by fails itself
    "unwanted",  # as many as are excluded
    "question",  # answered wrongly
    "score",  # of a scorer, too low
    "text",  # is not read in the image
    "other",  # in a judge's own words
    "member",  # what one of several judges says
]


@dataclass(frozen=True)
class Complaint:
    """`clause` is a class, for "unwanted" with its colour; a question; a text; who scores; or a
    member.

    kind        wanted                  seen
    missing     how many, at least      0
    count       how many, at least      how many
    colour      the colour              the colour of each box, sorted
    position    the relation            the relations that hold, sorted
    target      the relation            nothing
    unwanted    fewer than this         how many
    question    the answer              its probability
    score       the least               the score
    text        the text                what was read, lines by " / "
    other       nothing                 the words
    member      nothing                 its complaints
    """

    clause: str
    kind: Kind
    wanted: int | float | str
    seen: int | float | str | tuple[str, ...] | tuple[Complaint, ...]

    def __str__(self) -> str:
        name, wanted, seen = self.clause, self.wanted, self.seen
        several = seen if isinstance(seen, tuple) else ()
        words = sorted(set(map(str, several)))
        match self.kind:
            case "missing" | "count":
                return f"expected {name}>={wanted}, found {seen}"
            case "colour":
                right = sum(color == wanted for color in several)
                return (
                    f"expected {wanted} {name}>={len(several)}, found {right} ({', '.join(words)})"
                )
            case "position":
                return (
                    f"expected {name} {wanted} target, found {' and '.join(words) or 'no relation'}"
                )
            case "target":
                return f"no target for {name} to be {wanted}"
            case "unwanted":
                return f"expected {name}<{wanted}, found {seen}"
            case "question":
                return f"{name} {wanted}: {seen:.2f}"
            case "score":
                return f"{name} {seen:.4g} < {wanted:g}"
            case "text":
                return f"expected text {wanted!r}, read {seen!r}"
            case "member":
                return f"{name}: {in_english(several)}"
            case "other":
                return str(seen)

    def parts(self) -> Iterator[Complaint]:
        """Itself, or what the member of several complains of."""
        if self.kind != "member":
            yield self
        for part in self.seen if isinstance(self.seen, tuple) else ():
            if isinstance(part, Complaint):
                yield from part.parts()


def in_words(text: str) -> tuple[Complaint, ...]:
    """What a judge says in words of its own; nothing where it says nothing."""
    return (Complaint("", "other", "", text),) if text else ()


def in_english(complaints: Iterable[object]) -> str:
    """One a line."""
    return "\n".join(map(str, complaints))
