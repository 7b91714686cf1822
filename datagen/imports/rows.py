"""What every format gives: a row is a pair, or a prompt's candidates, or it was dropped for a cause
that is counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from sipo.datagen.imports.values import (
    Twice,
    UnusableError,
    bytes_of,
    label_of,
    margin_of,
    text_of,
    told_apart,
)
from sipo.feedback.prompts.prompt import Prompt


@dataclass(frozen=True)
class PairRow:
    """A pair as its source has it: pictures are bytes nobody has looked at yet.

    `key` says where in the source. `margin` in (0, 1] is how much better the winner is.
    """

    key: str
    prompt: str
    winner: bytes
    loser: bytes
    margin: float = 1.0

    @property
    def pictures(self) -> tuple[bytes, ...]:
        return self.winner, self.loser

    def without_pictures(self) -> PairRow:
        return replace(self, winner=b"", loser=b"")


@dataclass(frozen=True)
class CandidatesRow:
    """A prompt and the pictures that were made for it, which nobody has judged."""

    key: str
    prompt: Prompt
    pictures: tuple[bytes, ...]

    def without_pictures(self) -> CandidatesRow:
        return replace(self, pictures=())


@dataclass(frozen=True)
class Dropped:
    """`about` is what there is to say of this row alone: the path that is not there."""

    key: str
    cause: str
    about: str = ""

    def listed(self) -> list[str]:
        """As a shard's index has it."""
        return [self.key, self.cause, *([self.about] if self.about else [])]


Found = PairRow | CandidatesRow
Rows = Iterator[Found | Dropped]


def row_or_dropped(key: str, make: Callable[[], Found]) -> Found | Dropped:
    try:
        return make()
    except UnusableError as error:
        return Dropped(key, str(error), error.about)


def by_labels(
    key: str,
    prompt: object,
    pictures: tuple[object, object],
    labels: tuple[object, object],
    margin: object = None,
) -> PairRow:
    """The picture of the greater label wins; without `margin` it is the labels' difference."""
    first, second = (label_of(label) for label in labels)
    difference = told_apart(abs(first - second))
    winner, loser = pictures if first > second else pictures[::-1]
    if margin is not None:
        difference = margin_of(margin)
    return PairRow(key, text_of(prompt), bytes_of(winner), bytes_of(loser), difference)


def objects(
    rows: Iterable[tuple[str, object]], wanted: Sequence[str]
) -> Iterator[tuple[str, dict[str, object] | str]]:
    """(where, what JSON says there) -> (where, the object), or why it is none.

    Raises ValueError where the first object lacks one of `wanted`: the list is of another kind.
    A later one that lacks it is a row that lacks a picture or a prompt.
    """
    known = False
    for where, value in rows:
        if isinstance(value, Twice):
            yield where, "a name twice in a row"
        elif not isinstance(value, dict):
            yield where, "not a JSON object"
        else:
            if not known:
                require_columns(where, value, wanted)
            known = True
            yield where, value


def require_columns(where: str, names: Iterable[str], wanted: Iterable[str]) -> None:
    """Raises ValueError that names what lacks, or stands there twice, and what is there."""
    there, asked = list(names), list(wanted)
    has = ", ".join(map(str, there)) or "nothing"
    if missing := [name for name in asked if name not in there]:
        raise ValueError(
            f"{where} lacks {', '.join(missing)}; it has {has}; "
            "rename them, or choose another format"
        )
    if twice := [name for name in asked if there.count(name) > 1]:
        raise ValueError(f"{where} has {', '.join(twice)} twice: {has}; rename one of them")
